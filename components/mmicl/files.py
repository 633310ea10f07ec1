"""Writing so that a reader sees the old file or the whole new one, never a part."""

import contextlib
import glob
import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Generic, Self, TypeVar, overload

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import ValidationError

from mmicl.errors import DataError
from mmicl.records import Row

R = TypeVar("R", bound=Row)

CHUNK_ROWS = 1024
"""Rows that exist as objects at one time where a table is read or written row by row."""
GROUP_ROWS = 65_536
"""Rows of a Parquet row group."""


@contextlib.contextmanager
def replace_file(path: Path) -> Iterator[Path]:
    """Yield a temporary name beside `path`; on success fsync it and rename it to `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        with temporary.open("rb") as stream:
            os.fsync(stream.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def replace_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary folder beside `path`; on success it takes the place of `path`.

    What processes that were killed have left there is removed first.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    for left in path.parent.glob(f".{glob.escape(path.name)}.*.tmp"):
        if left == temporary or not Path("/proc", left.suffixes[-2][1:]).exists():
            shutil.rmtree(left, ignore_errors=True)
    temporary.mkdir()
    try:
        yield temporary
        if path.exists():
            shutil.rmtree(path)
        temporary.replace(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text, whole or not at all."""
    with replace_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write JSON with sorted keys, so that equal values are equal bytes."""
    write_text(path, json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n")


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        DataError: The file is missing or not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError("no such file", where=path) from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"not JSON ({error})", where=path) from None


class RowWriter(Generic[R]):
    """Writes rows as Parquet while they come; what waits for its row group is all that it holds.

    Equal rows in equal order give equal bytes, whether they come one by one or as tables. The
    caller makes the file appear whole (`replace_file`, `replace_folder`).
    """

    def __init__(self, path: Path, kind: type[R]) -> None:
        self.count = 0
        self._kind, self._schema = kind, kind.schema_arrow()
        self._file = pq.ParquetWriter(path, self._schema, compression="zstd")
        self._rows: list[R] = []
        self._tables: list[pa.Table] = []
        self._waiting = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self._gather()
            if self._waiting or not self.count:  # a table without rows has one group, empty
                self._write_group(self._waiting)
        self._file.close()

    def write(self, row: R) -> None:
        """Take one row."""
        self._rows.append(row)
        if len(self._rows) == CHUNK_ROWS:
            self._gather()

    def write_table(self, table: pa.Table) -> None:
        """Take rows as `make_table` gives them."""
        self._gather()
        self._take(table)

    def _gather(self) -> None:
        if self._rows:
            self._take(make_table(self._rows, self._kind))
            self._rows = []

    def _take(self, table: pa.Table) -> None:
        self.count += table.num_rows
        self._tables.append(table)
        self._waiting += table.num_rows
        while self._waiting >= GROUP_ROWS:
            self._write_group(GROUP_ROWS)

    def _write_group(self, rows: int) -> None:
        whole = pa.concat_tables(self._tables or [self._schema.empty_table()]).combine_chunks()
        self._file.write_table(whole.slice(0, rows))
        self._tables = [whole.slice(rows)]
        self._waiting -= rows


def make_table(rows: Iterable[R], kind: type[R]) -> pa.Table:
    """Rows as Arrow columns."""
    return pa.Table.from_pylist([row.model_dump() for row in rows], kind.schema_arrow())


def write_rows(path: Path, rows: Iterable[R], kind: type[R]) -> int:
    """Write rows as Parquet, whole or not at all, and return how many there were.

    Equal rows in equal order give equal bytes.
    """
    with replace_file(path) as temporary, RowWriter(temporary, kind) as writer:
        for row in rows:
            writer.write(row)
    return writer.count


class RowTable(Sequence[R]):
    """Rows of a Parquet file: its columns in memory, each row made anew when it is looked at.

    A row as an object takes several times its columns' bytes.

    `start` is the place of the first row in the file.
    """

    def __init__(self, path: Path, kind: type[R], table: pa.Table, start: int = 0) -> None:
        self._path, self._kind, self._start = path, kind, start
        self._table = table.combine_chunks()  # a value of a single chunk is found at once
        self._columns = {name: self._table[name].chunk(0) for name in table.column_names}

    def __len__(self) -> int:
        return self._table.num_rows

    def __reduce__(self) -> tuple[Any, ...]:
        """Another process opens the file itself, instead of being sent what it holds."""
        return _open_part, (self._path, self._kind, self._start, len(self))

    @overload
    def __getitem__(self, place: int) -> R: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[R]: ...
    def __getitem__(self, place: int | slice) -> R | Sequence[R]:
        """One row, or a part of the table.

        Raises:
            DataError: The row does not fit its kind.
            IndexError: There is no such row.
        """
        if isinstance(place, slice):
            start, stop, step = place.indices(len(self))
            if step != 1:
                raise IndexError("rows are taken without steps")
            part = self._table.slice(start, max(0, stop - start))
            return RowTable(self._path, self._kind, part, self._start + start)
        if not 0 <= place < len(self):
            raise IndexError(place)
        columns = self._columns.items()
        return self._make({name: column[place].as_py() for name, column in columns})

    def __iter__(self) -> Iterator[R]:
        for batch in self._table.to_batches(max_chunksize=CHUNK_ROWS):
            for value in batch.to_pylist():
                yield self._make(value)

    def _make(self, value: dict[str, Any]) -> R:
        try:
            return self._kind.model_validate(value)
        except ValidationError as error:
            raise _refuse_rows(self._path, self._kind, error) from None


def read_columns(path: Path, kind: type[Row], names: Sequence[str] | None = None) -> pa.Table:
    """Columns of a Parquet file, all if no names are given; the rows are not looked at.

    Raises:
        DataError: The file is missing, not Parquet, or has no such column.
    """
    try:
        return pq.read_table(path, columns=names and list(names))
    except FileNotFoundError:
        raise DataError("no such file", where=path) from None
    except pa.ArrowInvalid as error:
        raise _refuse_rows(path, kind, error) from None


def open_rows(path: Path, kind: type[R]) -> RowTable[R]:
    """Read a Parquet file's columns; rows are made, and checked, when they are looked at.

    Raises:
        DataError: The file is missing or not Parquet.
    """
    return RowTable(path, kind, read_columns(path, kind))


def _open_part(path: Path, kind: type[R], start: int, count: int) -> Sequence[R]:
    return open_rows(path, kind)[start : start + count]


def read_rows(path: Path, kind: type[R]) -> list[R]:
    """Read rows from Parquet.

    Raises:
        DataError: The file is missing, not Parquet, or a row does not fit `kind`.
    """
    return list(open_rows(path, kind))


def _refuse_rows(path: Path, kind: type[Row], error: Exception) -> DataError:
    return DataError(f"not a table of {kind.__name__} rows ({error})", where=path)


def hash_file(path: Path) -> str:
    """The sha256 of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def hash_json(value: Any) -> str:
    """The sha256 of a value's canonical JSON."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()
