"""Checks made in other processes, ahead of the records that need them; a finished work is kept.

A work is some checks (`mmicl.images.checks`). What they gave is a file of its own, by a name that
says what was checked: written aside and renamed, so that it is there whole or not at all, and a
process that was killed is none of it. What is in no such file is checked where it is needed.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from mmicl.files import replace_file
from mmicl.images.checks import Check
from mmicl.images.decoding import ImageError, Picture

SCHEMA = pa.schema(
    [
        pa.field("check", pa.string(), nullable=False),
        pa.field("sha256", pa.string()),
        pa.field("data", pa.binary()),
        pa.field("width", pa.int32()),
        pa.field("height", pa.int32()),
        pa.field("look", pa.string()),
        pa.field("reason", pa.string()),
        pa.field("message", pa.string()),
        pa.field("where", pa.string()),
    ]
)
"""A row a picture, or one for an error. No `data` where the official bytes are stored: they lie on
disk already."""


@dataclass(frozen=True)
class Finished:
    """A work that is done: where it lies, and whether an earlier start had done it.

    One without checks lies nowhere.
    """

    path: Path | None
    earlier: bool = False


@dataclass(frozen=True)
class Checker:
    """Does works; `folder` is where finished ones are, on a disk that all processes see."""

    folder: Path

    def __call__(self, checks: Sequence[Check]) -> Finished:
        """Make some checks, unless they were made by an earlier start."""
        if not checks:
            return Finished(None)
        names = "\n".join(check.name for check in checks)
        path = self.folder / f"{hashlib.sha256(names.encode()).hexdigest()}.arrow"
        if path.is_file():
            return Finished(path, earlier=True)
        rows = [row for check in checks for row in _run(check)]
        with replace_file(path) as temporary, pa.ipc.new_file(str(temporary), SCHEMA) as stream:
            stream.write_table(pa.Table.from_pylist(rows, SCHEMA))
        return Finished(path)


def _run(check: Check) -> Iterator[dict[str, Any]]:
    """What a check gives, as rows."""
    try:
        for picture in check.run():
            official = hashlib.sha256(picture.data).hexdigest() == picture.key
            yield {
                "check": check.name, "sha256": picture.key, "width": picture.width,
                "data": None if official else picture.data, "height": picture.height,
                "look": picture.look,
            }  # fmt: skip
    except ImageError as error:
        where = None if error.where is None else str(error.where)
        told = {"reason": error.reason, "message": error.message, "where": where}
        yield {"check": check.name, **told}


class Ahead:
    """What finished works gave, for the records that are read now."""

    def __init__(self) -> None:
        self._found: Mapping[str, list[dict[str, Any]]] = {}

    def load(self, finished: Finished) -> None:
        """Take what a work gave in place of what the one before did; nothing if it is damaged."""
        self._found = found = dict[str, list[dict[str, Any]]]()
        if finished.path is None:
            return
        try:
            with pa.memory_map(str(finished.path)) as source:
                rows = pa.ipc.open_file(source).read_all().to_pylist()
        except (pa.ArrowInvalid, OSError):
            return
        for row in rows:
            found.setdefault(row["check"], []).append(row)

    def run(self, check: Check) -> tuple[Picture, ...]:
        """What a check gives, from a work or by making it.

        Raises:
            ImageError: As `Check.run`.
        """
        rows = self._found.get(check.name) if self._found else None
        if rows is None:
            return check.run()
        if (reason := rows[0]["reason"]) is not None:
            raise ImageError(reason, rows[0]["message"], where=rows[0]["where"])
        pictures = []
        for row in rows:
            data = check.read() if row["data"] is None else row["data"]
            if row["data"] is None and hashlib.sha256(data).hexdigest() != row["sha256"]:
                return check.run()  # the file is not what it was then
            pictures.append(Picture(row["sha256"], data, row["width"], row["height"], row["look"]))
        return tuple(pictures)
