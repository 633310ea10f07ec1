"""One remote file on its way: which parts of it are whole survives a kill."""

import json
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from mmicl.errors import DataError, TransientError
from mmicl.fetch.limits import Budget
from mmicl.files import hash_file

PART = 32 << 20
"""Bytes that one request asks for: what a kill loses at most per connection."""
TRIES = 6
FIRST_PAUSE = 1.0
"""Seconds before the second try; doubled for each further one."""
LONGEST_PAUSE = 300.0


class BusyServerError(TransientError):
    """The server said itself how many seconds to wait."""

    def __init__(self, message: str, *, where: object, seconds: float) -> None:
        super().__init__(message, where=where)
        self.seconds = seconds


@dataclass(frozen=True)
class RemoteFile:
    """A file to be fetched.

    `size` is None where the server does not tell, `version` (an ETag, a date) where it gives no
    mark of the content; then it cannot be read in parts. `sha256` is what it must hash to.
    """

    name: str
    size: int | None
    version: str | None
    origin: str
    sha256: str | None = None


class Remote(Protocol):
    """A server that one source names; `workers` requests may run at one time."""

    workers: int

    def list_files(self) -> Iterator[RemoteFile]:
        """The files of the source."""
        ...

    def read(self, file: RemoteFile, start: int, end: int | None) -> Iterator[bytes]:
        """The bytes from `start` up to `end` (excluded; None is all), of the listed version.

        Raises:
            DataError: The file is of another version by now.
            TransientError: Trying again may help.
        """
        ...


class PartialFile:
    """Bytes lie in `NAME.part`; `NAME.part.done` says of what, and which parts are whole.

    That journal grows by a line a part, so that a kill leaves at most half a line.
    """

    def __init__(self, target: Path, file: RemoteFile) -> None:
        self.file, self.target = file, target
        self._data = target.with_name(target.name + ".part")
        self._journal = target.with_name(target.name + ".part.done")
        self._lock = threading.Lock()
        self.resumable = file.size is not None and file.version is not None
        target.parent.mkdir(parents=True, exist_ok=True)
        self._mark = json.dumps([file.version, file.size, PART]) + "\n"
        self._done = self._read_journal() if self.resumable else set()
        if not self._done:
            self._journal.write_text(self._mark, encoding="utf-8")
            self._data.unlink(missing_ok=True)
        self._data.touch()

    def missing(self) -> list[int]:
        """The numbers of the parts that have not come yet; part 0 is all that cannot be cut."""
        if not self.resumable:
            return [0]
        size = self.file.size or 0
        return [number for number in range(-(-size // PART)) if number not in self._done]

    def fetch_part(self, number: int, remote: Remote, budget: Budget) -> None:
        """Read one part, trying again with growing pauses.

        Raises:
            DataError: The file changed upstream, or has not the length that was announced.
            TransientError: It did not come in `TRIES` tries.
            UserError: The budget is spent, or the server refuses.
        """
        file, start = self.file, number * PART if self.resumable else 0
        end = min(start + PART, file.size or 0) if self.resumable else file.size
        position, tries = start, 0
        with self._data.open("r+b") as stream:
            while True:
                try:
                    for block in remote.read(file, position, end):
                        budget.spend(len(block), file.origin)
                        self._write(stream, block, position, end)
                        position += len(block)
                        tries = 0 if self.resumable else tries
                    if end is not None and position < end:
                        raise TransientError("the server broke off", where=file.origin)
                    break
                except TransientError as error:
                    tries += 1
                    if tries == TRIES:
                        raise
                    budget.pause(_choose_pause(error, tries))
                    budget.spend(0, file.origin)
                    if not self.resumable:
                        position = 0
                        stream.truncate(0)
        if self.resumable:
            self._write_journal(number)

    def finish(self) -> tuple[int, str]:
        """Give the whole file its name, and return its size and sha256.

        Raises:
            DataError: It is not what was there before, or not what the source says.
        """
        sha256 = hash_file(self._data)
        if self.file.sha256 and sha256 != self.file.sha256:
            self.discard()
            message = f"changed upstream: its sha256 is {sha256}, not {self.file.sha256}"
            raise DataError(message, where=self.file.origin)
        size = self._data.stat().st_size
        self._data.replace(self.target)
        self._journal.unlink(missing_ok=True)
        return size, sha256

    def discard(self) -> None:
        """Forget what came."""
        self._data.unlink(missing_ok=True)
        self._journal.unlink(missing_ok=True)

    def _write(self, stream: BinaryIO, block: bytes, position: int, end: int | None) -> None:
        if end is not None and position + len(block) > end:
            raise DataError("the server sends more than it announced", where=self.file.origin)
        stream.seek(position)
        stream.write(block)

    def _read_journal(self) -> set[int]:
        """The parts that are whole, if they are of this version of the file."""
        if not (self._journal.is_file() and self._data.is_file()):
            return set()
        mark, *lines = self._journal.read_text(encoding="utf-8").splitlines(keepends=True) or [""]
        if mark != self._mark:
            return set()
        if lines and not lines[-1].endswith("\n"):  # half a number would become another one
            self._journal.write_text("".join([mark, *lines[:-1]]), encoding="utf-8")
            del lines[-1]
        return {int(line) for line in lines}

    def _write_journal(self, number: int) -> None:
        with self._lock, self._data.open("rb") as data, self._journal.open("a") as journal:
            os.fsync(data.fileno())  # else a power cut could leave the word without the bytes
            journal.write(f"{number}\n")


def _choose_pause(error: TransientError, tries: int) -> float:
    wanted = error.seconds if isinstance(error, BusyServerError) else 0.0
    return min(max(wanted, FIRST_PAUSE * 2 ** (tries - 1)), LONGEST_PAUSE)
