"""Writing so that a reader sees the old file or the whole new one, never a part."""

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import ValidationError

from mmicl.errors import DataError
from mmicl.records import Row

R = TypeVar("R", bound=Row)


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
    """Yield a temporary folder beside `path`; on success it takes the place of `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
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


def write_rows(path: Path, rows: Iterable[R], kind: type[R]) -> int:
    """Write rows as Parquet, whole or not at all, and return how many there were.

    Equal rows in equal order give equal bytes.
    """
    values = [row.model_dump() for row in rows]
    table = pa.Table.from_pylist(values, schema=kind.schema_arrow())
    with replace_file(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")
    return len(values)


def read_rows(path: Path, kind: type[R]) -> list[R]:
    """Read rows from Parquet.

    Raises:
        DataError: The file is missing, not Parquet, or a row does not fit `kind`.
    """
    try:
        return [kind.model_validate(value) for value in pq.read_table(path).to_pylist()]
    except FileNotFoundError:
        raise DataError("no such file", where=path) from None
    except (pa.ArrowInvalid, ValidationError) as error:
        raise DataError(f"not a table of {kind.__name__} rows ({error})", where=path) from None


def hash_file(path: Path) -> str:
    """The sha256 of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def hash_json(value: Any) -> str:
    """The sha256 of a value's canonical JSON."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()
