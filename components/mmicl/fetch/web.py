"""One file from an https:// address.

Every address of the way is checked, the first and each that a redirect names: https (http for
trusted hosts alone), and a host all of whose addresses are public. The check is made where the
connection is opened, on the very address that is connected to, so that a name which answers
differently the second time gains nothing.
"""

import contextlib
import ipaddress
import os
import re
import socket
import ssl
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpcore

from mmicl.errors import DataError, TransientError, UserError
from mmicl.fetch.limits import TRUSTED_VARIABLE, is_trusted
from mmicl.fetch.partial import BusyServerError, RemoteFile
from mmicl.fetch.uri import Source

REDIRECTS = 10
SECONDS = 60.0
"""Of silence from a server, after which the try counts as failed."""
BUSY = {408, 425, 429, 500, 502, 503, 504}
NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
AGENT = "mmicl (https://arxiv.org/abs/2309.07915)"


class WebFile:
    """The remote of one web address."""

    workers = 1
    """A web server is asked for one part at a time."""

    def __init__(self, source: Source) -> None:
        self._source = source
        own = ssl.create_default_context() if os.environ.get("SSL_CERT_FILE") else None
        self._pool = httpcore.ConnectionPool(own, network_backend=GuardedBackend())

    def list_files(self) -> Iterator[RemoteFile]:
        """The file, with size and version if the server can send parts of it."""
        address = self._source.address
        with self._open(address, {"Range": "bytes=0-0"}) as answer:
            headers = _read_headers(answer)
            size: int | None = None
            if answer.status == 200:
                length = headers.get("content-length", "")
                size = int(length) if length.isdigit() else None
            elif match := re.fullmatch(r"bytes (?:0-0|\*)/(\d+)", headers.get("content-range", "")):
                size = int(match[1])
            partial = answer.status in (206, 416) and size is not None
            version = _read_version(headers) if partial else None
        yield RemoteFile(self._source.path.as_posix(), size, version, address)

    def read(self, file: RemoteFile, start: int, end: int | None) -> Iterator[bytes]:
        """The bytes from `start` up to `end`; all of them where the file has no version."""
        wanted: dict[str, str] = {}
        if file.version is not None and end is not None:
            wanted["Range"] = f"bytes={start}-{end - 1}"
        with self._open(file.origin, wanted) as answer:
            headers = _read_headers(answer)
            if wanted:
                same = headers.get("content-range") == f"bytes {start}-{(end or 0) - 1}/{file.size}"
                if answer.status != 206 or not same or _read_version(headers) != file.version:
                    message = "changed upstream while it was fetched"
                    raise DataError(message, where=file.origin, remedy="run again")
            if headers.get("content-encoding", "identity") != "identity":
                raise DataError("the server sends it compressed, unasked", where=file.origin)
            with _explain_errors(file.origin):
                yield from answer.iter_stream()

    @contextlib.contextmanager
    def _open(self, address: str, headers: dict[str, str]) -> Iterator[httpcore.Response]:
        """Ask for an address and follow redirects, each of them checked."""
        headers = {"User-Agent": AGENT, "Accept-Encoding": "identity", **headers}
        timeout = dict.fromkeys(("connect", "read", "write", "pool"), SECONDS)
        for _ in range(REDIRECTS + 1):
            check_address(address)
            with contextlib.ExitStack() as stack:
                with _explain_errors(address):
                    asked = self._pool.stream(
                        "GET",
                        address,
                        headers=list(headers.items()),
                        extensions={"timeout": timeout},
                    )
                    answer = stack.enter_context(asked)
                if answer.status not in (301, 302, 303, 307, 308):
                    _check_status(answer, address)
                    yield answer
                    return
                target = _read_headers(answer).get("location", "")
            address = urljoin(address, target).partition("#")[0]
        raise UserError(f"more than {REDIRECTS} redirects", where=self._source.address)


class GuardedBackend(httpcore.NetworkBackend):
    """Opens connections to public addresses and trusted hosts alone."""

    def __init__(self) -> None:
        self._backend = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """Connect to the first address of a host that answers.

        Raises:
            UserError: One of its addresses is not public, and the host is not trusted.
            httpcore.ConnectError: None answers, or the name has no address.
        """
        failure: Exception = httpcore.ConnectError(f"{host} has no address")
        for address in find_addresses(host, port):
            try:
                return self._backend.connect_tcp(
                    address, port, timeout, local_address, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure


def find_addresses(host: str, port: int) -> list[str]:
    """The addresses of a host, if it may be reached.

    Raises:
        UserError: One of them is not public (loopback, private, link-local, reserved, multicast),
            and the host is not trusted.
        httpcore.ConnectError: The name has none.
    """
    try:
        answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise httpcore.ConnectError(f"{host} has no address ({error})") from None
    addresses = list(dict.fromkeys(str(answer[4][0]) for answer in answers))
    if not is_trusted(host, port):
        for address in addresses:
            if not _is_public(address):
                remedy = f"export {TRUSTED_VARIABLE}={host} if it is meant"
                raise UserError(f"{address} is not a public address", where=host, remedy=remedy)
    return addresses


def check_address(address: str) -> None:
    """Refuse an address by its scheme and form.

    Raises:
        UserError: Neither https nor http on a trusted host, no host, or a name and password.
    """
    try:
        parts = urlsplit(address)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise UserError("not a web address", where=address) from None
    if not host or parts.username is not None or not address.isascii():
        raise UserError("not a web address without name and password", where=host)
    if parts.scheme == "https" or (parts.scheme == "http" and is_trusted(host, port or 80)):
        return
    remedy = f"export {TRUSTED_VARIABLE}={host} if it is meant" if parts.scheme == "http" else None
    raise UserError(f"{parts.scheme}:// is not https", where=address, remedy=remedy)


def _is_public(address: str) -> bool:
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour
        if ip in NAT64:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        ip = inner or ip
    return ip.is_global and not ip.is_multicast


def _read_headers(answer: httpcore.Response) -> dict[str, str]:
    return {
        name.decode("latin-1").lower(): value.decode("latin-1") for name, value in answer.headers
    }


def _read_version(headers: dict[str, str]) -> str | None:
    """What marks the content: a strong ETag, else the date of the last change."""
    etag = headers.get("etag", "")
    return etag if etag.startswith('"') else headers.get("last-modified")


def _check_status(answer: httpcore.Response, address: str) -> None:
    """Raise for an answer that is not (a part of) the file; 416 is left to the caller."""
    status = answer.status
    if status in (200, 206, 416):
        return
    if status in BUSY:
        wait = _read_headers(answer).get("retry-after", "")
        message = f"the server answered {status}"
        seconds = float(wait) if wait.isdigit() else 0.0
        raise BusyServerError(message, where=address, seconds=seconds)
    remedy = "check the address, and whether it asks for a login"
    raise UserError(f"the server answered {status}", where=address, remedy=remedy)


@contextlib.contextmanager
def _explain_errors(where: str) -> Iterator[None]:
    """Turn what httpcore raises into errors of one line."""
    try:
        yield
    except httpcore.ConnectError as error:
        if isinstance(error.__context__, ssl.SSLCertVerificationError):
            remedy = "name its authority in SSL_CERT_FILE if you trust it"
            message = f"the certificate does not hold ({error})"
            raise UserError(message, where=where, remedy=remedy) from None
        raise TransientError(str(error), where=where) from None
    except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException) as error:
        raise TransientError(f"{type(error).__name__} {error}", where=where) from None
