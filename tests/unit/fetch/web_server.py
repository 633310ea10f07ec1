"""A web server on loopback that answers as files, and as badly as a test asks."""

import contextlib
import hashlib
import http.server
import re
import ssl
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Behaviour:
    """What the server does; a test changes it between requests."""

    files: dict[str, bytes] = field(default_factory=dict)
    redirects: dict[str, str] = field(default_factory=dict)
    ranges: bool = True
    etags: bool = True
    lengths: bool = True
    failures: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    """Status and headers of the next answers, before it behaves."""
    break_after: int | None = None
    """Bytes of a body after which the connection is closed."""
    block: int = 1 << 16
    delay: float = 0.0
    """Seconds between blocks."""
    encoding: str | None = None
    requests: list[tuple[str, str | None]] = field(default_factory=list)
    """Path and Range of every request so far."""
    sent: int = 0
    """Bytes of bodies that went out."""


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    behaviour: Behaviour

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        state = self.behaviour
        wanted = self.headers.get("Range")
        state.requests.append((self.path, wanted))
        if state.failures:
            status, headers = state.failures.pop(0)
            return self._answer(status, headers, b"")
        if self.path in state.redirects:
            return self._answer(302, {"Location": state.redirects[self.path]}, b"")
        if self.path not in state.files:
            return self._answer(404, {}, b"")
        body = state.files[self.path]
        headers = {"ETag": f'"{hashlib.md5(body).hexdigest()}"'} if state.etags else {}  # noqa: S324
        match = re.fullmatch(r"bytes=(\d+)-(\d+)", wanted or "")
        if not (match and state.ranges):
            return self._answer(200, headers, body)
        start, end = int(match[1]), min(int(match[2]) + 1, len(body))
        if start >= len(body):
            return self._answer(416, {"Content-Range": f"bytes */{len(body)}"}, b"")
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{len(body)}"
        return self._answer(206, headers, body[start:end])

    def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        state = self.behaviour
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if state.encoding:
            self.send_header("Content-Encoding", state.encoding)
        if state.lengths:
            self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        limit = len(body) if state.break_after is None else min(state.break_after, len(body))
        with contextlib.suppress(OSError):  # the reader may have enough
            for start in range(0, limit, state.block):
                self.wfile.write(body[start : min(start + state.block, limit)])
                state.sent += min(state.block, limit - start)
                time.sleep(state.delay)


@contextlib.contextmanager
def serve(tls: ssl.SSLContext | None = None) -> Iterator[tuple[str, Behaviour]]:
    """Run a server; yield its address, `http://127.0.0.1:PORT`, and how it behaves."""
    behaviour = Behaviour()
    handler = type("Handler", (_Handler,), {"behaviour": behaviour})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    if tls:
        server.socket = tls.wrap_socket(
            server.socket, server_side=True, do_handshake_on_connect=False
        )
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http{'s' if tls else ''}://127.0.0.1:{server.server_port}", behaviour
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
