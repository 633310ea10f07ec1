"""A server on loopback that speaks chat completions, as well or as badly as a test asks."""

import contextlib
import hashlib
import http.server
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

Texts = Callable[[str, int], list[str]]
"""(instruction, how many are asked for) -> paraphrases."""


def good_texts(instruction: str, count: int) -> list[str]:
    """Sound paraphrases, unlike one another: the instruction and five made-up words."""
    return [f"{instruction} {' '.join(_words(instruction, number))}." for number in range(count)]


def _words(instruction: str, number: int) -> list[str]:
    digest = hashlib.sha256(f"{number} {instruction}".encode()).hexdigest()[:40]
    letters = digest.translate(str.maketrans("0123456789", "ghijklmnop"))
    return [letters[start : start + 8] for start in range(0, 40, 8)]


@dataclass
class Behaviour:
    """What the server does; a test changes it between requests."""

    texts: Texts = good_texts
    content: str | None = None
    """The message's text, instead of JSON with `texts`."""
    finish: str = "stop"
    usage: dict[str, int] | None = field(
        default_factory=lambda: {"prompt_tokens": 300, "completion_tokens": 40}
    )
    failures: list[tuple[int, dict[str, str], str]] = field(default_factory=list)
    """Status, headers and body of the next answers, before it behaves."""
    delays: list[float] = field(default_factory=list)
    """Seconds before the next answers."""
    delay: float = 0.0
    requests: list[dict[str, Any]] = field(default_factory=list)
    """Body, path, authorization and time of every request so far."""
    at_once: int = 0
    most_at_once: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    behaviour: Behaviour

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def do_POST(self) -> None:
        state = self.behaviour
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with state.lock:
            state.requests.append(
                {
                    "body": body,
                    "path": self.path,
                    "authorization": self.headers.get("Authorization"),
                    "time": time.monotonic(),
                }
            )
            state.at_once += 1
            state.most_at_once = max(state.most_at_once, state.at_once)
            delay = state.delays.pop(0) if state.delays else state.delay
            failure = state.failures.pop(0) if state.failures else None
        time.sleep(delay)
        with state.lock:  # the client may ask again as soon as it has the answer
            state.at_once -= 1
        if failure is not None:
            self._answer(*failure)
        else:
            self._answer(200, {}, json.dumps(self._complete(body)))

    def _complete(self, body: dict[str, Any]) -> dict[str, Any]:
        state = self.behaviour
        asked = json.loads(body["messages"][-1]["content"])
        texts = state.texts(asked["instruction"], asked["paraphrases"])
        content = json.dumps({"paraphrases": texts}) if state.content is None else state.content
        message = {"role": "assistant", "content": content}
        answer: dict[str, Any] = {
            "id": "chatcmpl-1", "object": "chat.completion", "created": 0,
            "model": f"{body['model']}-2024-07-18",
            "choices": [{"index": 0, "message": message, "finish_reason": state.finish}],
        }  # fmt: skip
        return answer if state.usage is None else {**answer, "usage": state.usage}

    def _answer(self, status: int, headers: dict[str, str], text: str) -> None:
        body = text.encode()
        with contextlib.suppress(OSError):  # a client that timed out is gone
            self.send_response(status)
            for name, value in {"Content-Type": "application/json", **headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)


@contextlib.contextmanager
def serve_chat() -> Iterator[tuple[str, Behaviour]]:
    """Run the server; yields its base URL and what it does."""
    behaviour = Behaviour()
    handler = type("Handler", (_Handler,), {"behaviour": behaviour})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/v1", behaviour
        finally:
            server.shutdown()
            thread.join()
