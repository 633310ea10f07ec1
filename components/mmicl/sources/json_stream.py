"""Official JSON files entry by entry: some hold gigabytes, and several times that as objects.

Stricter than Python's own reader: NaN, whole numbers beyond 64 bits and half a surrogate pair, as
no text has it, refuse the file.
"""

import codecs
import mmap
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import ijson

WIDE = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)  # UTF-32 begins so too


HALF = re.compile(
    rb"(?<!\\)\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F])"
    rb"|(?<!\\)(?<!\\u[dD][89abAB][0-9a-fA-F]{2})\\u[dD][c-fC-F][0-9a-fA-F]{2}"
)
"""Half of a surrogate pair, which yajl would read as `?` without a word."""


class JsonError(ValueError):
    """A file is not JSON, or not of the form that was asked for; says why in a few words."""


def stream_list(path: Path, section: str, *, optional: bool = False) -> Iterator[Any]:
    """The entries of one list of an object, `info.entries` for a list further down.

    Raises:
        JsonError: The file is not JSON, or has no such list and it is not optional.
    """
    empty = True
    _refuse_halves(path)
    with open_json(path) as stream:
        for entry in ijson.items(stream, f"{section}.item", use_float=True):
            empty = False
            yield entry
    if empty and _find_start(path, section) not in ("start_array", None if optional else ""):
        raise JsonError(f"has no list {section!r}")


def stream_array(path: Path) -> Iterator[Any]:
    """The entries of a file that is one list.

    Raises:
        JsonError: The file is not JSON.
    """
    _refuse_halves(path)
    with open_json(path) as stream:
        yield from ijson.items(stream, "item", use_float=True)


def stream_object(path: Path) -> Iterator[tuple[str, Any]]:
    """The entries of a file that is one object, with their keys.

    Raises:
        JsonError: The file is not JSON or no object.
    """
    _refuse_halves(path)
    with open_json(path) as stream:
        if read_first(stream) != b"{":
            raise JsonError("is no object")
        yield from ijson.kvitems(stream, "", use_float=True)


def read_first(stream: IO[bytes]) -> bytes:
    """The first sign after white space, to which the stream goes back."""
    start = stream.tell()
    head = stream.read(1024).lstrip()[:1]
    stream.seek(start)
    return head


@contextmanager
def open_json(path: Path) -> Iterator[IO[bytes]]:
    """A JSON file from behind its byte order mark on.

    Raises:
        JsonError: It is not in UTF-8, or what is read of it within the block is not JSON.
    """
    with path.open("rb") as stream:
        head = stream.read(4)
        if head.startswith(WIDE):
            raise JsonError("is in UTF-16 or UTF-32; save it as UTF-8")
        stream.seek(len(codecs.BOM_UTF8) if head.startswith(codecs.BOM_UTF8) else 0)
        try:
            yield stream
        except ijson.JSONError as error:
            told = error.args[0]
            text = told.decode("utf-8", "replace") if isinstance(told, bytes) else str(told)
            raise JsonError(f"not JSON ({text.splitlines()[0]})") from None


def _find_start(path: Path, section: str) -> str | None:
    """How the value of a section begins, as ijson calls it; None where there is none."""
    with open_json(path) as stream:
        events = ijson.parse(stream)
        return next((event for place, event, _ in events if place == section), None)


def _refuse_halves(path: Path) -> None:
    """See that no text holds half a surrogate pair: a second's work for a gigabyte."""
    if not path.stat().st_size:
        return
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        if (found := HALF.search(data)) is not None:
            raise JsonError(f"half a surrogate pair at byte {found.start()}, which is no text")
