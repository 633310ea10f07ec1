"""Stands before an S3 server: notes what is asked, and can say that the server is busy."""

import urllib.request
from collections import Counter
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Relay(ThreadingHTTPServer):
    """Passes requests on to the S3 server at `endpoint`, except those it is told to refuse.

    Attributes:
        answer: Status and code of a refusal.
        busy: What is in an address -> how many requests for it are still to be refused.
        asked: The headers of all requests so far.
    """

    daemon_threads = True

    def __init__(self, endpoint: str) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.endpoint = endpoint
        self.answer: tuple[int, str] = (503, "SlowDown")
        self.busy = Counter[str]()
        self.asked = list[Message]()


class Handler(BaseHTTPRequestHandler):
    """One request."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        relay = self.server
        assert isinstance(relay, Relay)
        relay.asked.append(self.headers)
        for part in relay.busy:
            if part in self.path and relay.busy[part]:
                relay.busy[part] -= 1
                status, code = relay.answer
                text = f"<Error><Code>{code}</Code><Message>Reduce your rate.</Message></Error>"
                return self.reply(status, {"Content-Type": "application/xml"}, text.encode())
        address, headers = relay.endpoint + self.path, dict(self.headers)
        with urllib.request.urlopen(urllib.request.Request(address, headers=headers)) as answer:  # noqa: S310
            return self.reply(answer.status, dict(answer.headers), answer.read())

    def reply(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in (headers | {"Content-Length": str(len(body))}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing on the terminal."""
