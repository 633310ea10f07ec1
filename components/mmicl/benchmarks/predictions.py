"""Requests with their answers, and a file of them that grows while a benchmark runs."""

import json
import os
from collections.abc import Iterable
from pathlib import Path

from mmicl.errors import DataError
from mmicl.records import Request


class Answered(Request):
    """A Request with its Prediction.

    `control` is empty for the model's own answers, and `draw 2`, `draw 3`, … for those with worked
    examples that were drawn again.
    """

    control: str
    text: str
    scores: tuple[float, ...] = ()


class PredictionStream:
    """Appends answered requests to a JSON Lines file, for whoever wants to look before the end.

    Each is written once, told by control and id: a later run of the same requests goes on where the
    file ends. Lines are whole; one that a kill cut off is dropped as the file is opened.

    Args:
        path: Of one benchmark; made with the first answer.

    Raises:
        DataError: A line other than the last one cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._known: set[tuple[str, str]] = set()
        if path.exists():
            self._read()

    def add(self, rows: Iterable[Answered]) -> None:
        """Write what is not there yet; it is on disk when this returns."""
        new = {(row.control, row.id): row for row in rows}
        lines = [row.model_dump_json() for key, row in new.items() if key not in self._known]
        if not lines:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("ab") as stream:
            stream.write("".join(f"{line}\n" for line in lines).encode())
            stream.flush()
            os.fsync(stream.fileno())
        self._known |= new.keys()

    def _read(self) -> None:
        whole = 0
        with self.path.open("rb") as stream:
            for number, line in enumerate(stream, 1):
                if not line.endswith(b"\n"):
                    break
                try:
                    row = json.loads(line)
                    self._known.add((row["control"], row["id"]))
                except (ValueError, KeyError, TypeError) as error:
                    raise DataError(
                        f"not a kept prediction ({error})",
                        where=f"{self.path}, line {number}",
                        remedy="remove the file",
                    ) from None
                whole += len(line)
        os.truncate(self.path, whole)
