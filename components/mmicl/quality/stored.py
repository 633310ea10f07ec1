"""Rows as they lie on disk, walked in batches: no table is ever in memory as a whole."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from mmicl.errors import DataError
from mmicl.records import Row

BATCH = 2048
"""Rows in memory at a time."""
REPEATED = ("dataset", "split", "task")
"""Columns of few values, each of which is kept once however many rows have it."""


class StoredRows:
    """The rows of a Parquet file as dicts, unchecked, read anew each time they are walked.

    Columns that the file lacks are filled with null.

    Attributes:
        fault: How the file's schema differs from that of its rows, "" if it does not.
    """

    def __init__(self, path: Path, kind: type[Row]) -> None:
        """Read a file's schema.

        Raises:
            DataError: The file is missing or not Parquet.
        """
        self._path = path
        try:
            with pq.ParquetFile(path) as file:
                schema, self._count = file.schema_arrow, file.metadata.num_rows
        except FileNotFoundError:
            raise DataError("no such file", where=path) from None
        except pa.ArrowInvalid as error:
            raise DataError(f"not Parquet ({error})", where=path) from None
        self._found = {field.name: str(field.type) for field in schema}
        self._wanted = {field.name: str(field.type) for field in kind.schema_arrow()}
        self.fault = _compare(self._found, self._wanted)

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Whole rows, in the file's order; raises as `walk`."""
        return self.walk(*{**self._wanted, **self._found})

    def walk(self, *names: str) -> Iterator[dict[str, Any]]:
        """Some columns of all rows, in the file's order.

        Raises:
            DataError: A part of the file does not decode.
        """
        empty = dict.fromkeys(names)
        shared: dict[Any, Any] = {}
        columns = [name for name in names if name in self._found]
        repeated = [name for name in REPEATED if name in columns and self._found[name] == "string"]
        try:
            with pq.ParquetFile(self._path, memory_map=True) as file:
                if not columns:
                    yield from (dict(empty) for _ in range(self._count))
                    return
                for batch in file.iter_batches(BATCH, columns=columns, use_threads=False):
                    for row in batch.to_pylist():
                        for name in repeated:
                            row[name] = shared.setdefault(row[name], row[name])
                        yield empty | row
        except (pa.ArrowInvalid, OSError) as error:
            raise DataError(f"not Parquet ({error})", where=self._path) from None


def _compare(found: dict[str, str], wanted: dict[str, str]) -> str:
    faults = [f"{name} is missing" for name in wanted if name not in found]
    faults += [f"{name} is unknown" for name in found if name not in wanted]
    faults += [
        f"{name} is {found[name]}, not {wanted[name]}"
        for name in wanted
        if name in found and _plain(found[name]) != _plain(wanted[name])
    ]
    return "; ".join(faults)


def _plain(kind: str) -> str:
    """A type's name without what Parquet changes: the name of a list's element."""
    return kind.replace("element:", "item:")
