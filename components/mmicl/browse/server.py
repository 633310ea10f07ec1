"""The page on loopback, for one person on this machine.

A request can name a filter or an image reference, which is looked up among the known ones; no part
of it becomes a path. Requests under another host name are refused, so that no page of the web can
read the data through a name that it has pointed at 127.0.0.1.
"""

import re
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from mmicl.browse.page import CHIP, WHOLE, View, write_page
from mmicl.browse.samples import parse_choice
from mmicl.errors import BusyError, DataError, MmiclError, UserError
from mmicl.images.showing import draw_thumbnail, draw_whole
from mmicl.records import BLANK_IMAGE

HOST = "127.0.0.1"
PICTURE = re.compile(
    rf"/(picture|whole)/({BLANK_IMAGE}|[0-9a-f]{{64}}(?:@\d{{1,6}}(?:,\d{{1,6}}){{3}})?)"
)
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; img-src 'self'; style-src 'unsafe-inline'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}
MAX_FIELDS = 10


def make_server(view: View, port: int) -> ThreadingHTTPServer:
    """A server that listens already; the caller runs `serve_forever` and closes it.

    Args:
        view: What it shows.
        port: On loopback; 0 takes a free one (`server_port` says which).

    Raises:
        BusyError: Something else listens there.
        UserError: There is no such port.
    """

    class Handler(_Handler):
        shown = view

    try:
        return ThreadingHTTPServer((HOST, port), Handler)
    except OverflowError:
        raise UserError("not a port", where=port, remedy="0 to 65535") from None
    except OSError as error:
        why = error.strerror or "cannot listen"
        raise BusyError(why, where=f"{HOST}:{port}", remedy="choose another --port") from None


class _Handler(BaseHTTPRequestHandler):
    shown: View
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "mmicl", ""
    timeout = 60

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: a page of pictures would fill the terminal."""

    def do_GET(self) -> None:
        """Answer with the page, a picture, or one line that says what is wrong."""
        port = self.connection.getsockname()[1]
        if self.headers.get("Host") not in (f"{HOST}:{port}", f"localhost:{port}"):
            self._send(403, "text/plain", b"mmicl browse answers on loopback alone\n")
            return
        try:
            status, kind, body = self._answer()
        except UserError as error:
            status, kind, body = 400, "text/plain", f"{error}\n".encode()
        except DataError as error:
            status, kind, body = 404, "text/plain", f"{error}\n".encode()
        except MmiclError as error:
            status, kind, body = 500, "text/plain", f"{error}\n".encode()
        self._send(status, kind, body)

    def _answer(self) -> tuple[int, str, bytes]:
        address = urlsplit(self.path)
        if found := PICTURE.fullmatch(address.path):
            draw, side = {"picture": (draw_thumbnail, CHIP), "whole": (draw_whole, WHOLE)}[found[1]]
            return 200, "image/jpeg", draw(self.shown.images, found[2], side)
        if address.path != "/":
            return 404, "text/plain", b"no such page\n"
        try:
            fields = dict(parse_qsl(address.query, max_num_fields=MAX_FIELDS))
        except ValueError:
            raise UserError(f"more than {MAX_FIELDS} fields", where="address") from None
        return 200, "text/html", write_page(self.shown, parse_choice(fields)).encode()

    def _send(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        charset = "" if kind == "image/jpeg" else "; charset=utf-8"
        self.send_header("Content-Type", kind + charset)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store" if kind != "image/jpeg" else "max-age=3600")
        for name, value in HEADERS.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
