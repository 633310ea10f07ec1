"""img2dataset's shards, and the same with captions of ours beside them.

A shard's result is its tar, if it has one (a hard link where the file system can, a copy otherwise:
the pictures are not changed), its table with another `caption` and the columns `ADDED`, and a
record of what it was made from. They are written in the order table, tar, record: readers go by the
tar, or by a table that has the pictures itself, so that they see whole shards alone, and a shard is
done when it has its record.
"""

import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from glob import escape
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from mmicl.errors import DataError, UserError
from mmicl.files import hash_file, read_json, replace_file, write_json
from mmicl.sources.img2dataset import COLUMNS, PATTERNS, PICTURES, has_pictures

CAPTION = "caption"
ADDED = pa.schema(
    [
        ("web_caption", pa.string()),
        ("web_score", pa.float32()),
        ("synthetic_captions", pa.list_(pa.string())),
        ("synthetic_scores", pa.list_(pa.float32())),
        ("caption_origin", pa.string()),
        ("caption_error", pa.string()),
        ("captioner", pa.string()),
        ("matcher", pa.string()),
    ]
)
CHUNK, CHUNK_OF_PICTURES = 1024, 128
"""Rows that are in memory at a time, and a row group of what is written; fewer with pictures."""


@dataclass(frozen=True)
class Shard:
    """A shard of the source: its name within it without a suffix, its files, its rows.

    `tar` is None where the table has the pictures itself.
    """

    name: str
    tar: Path | None
    table: Path
    rows: int

    @property
    def path(self) -> Path:
        """The file with the pictures."""
        return self.tar or self.table

    @property
    def columns(self) -> tuple[str, ...]:
        """Those of the table that a job reads."""
        return COLUMNS if self.tar else (*COLUMNS, PICTURES)


def find_shards(source: Path, share: tuple[int, int]) -> list[Shard]:
    """The shards of one machine's share, in the order of their names.

    Args:
        source: The folder of shards; all machines must see the same ones.
        share: (i, n): every n-th shard from the i-th, from 1.

    Raises:
        DataError: There is no shard, or one of the share has no table or none that can be read.
    """
    part, parts = share
    paths = {path for pattern in PATTERNS for path in source.glob(pattern) if path.is_file()}
    found = sorted(path for path in paths if _is_shard(path))
    if not found:
        what = "<shard>.tar beside <shard>.parquet, or <shard>.parquet with the pictures"
        raise DataError(
            "no shard", where=source, remedy=f"it holds what img2dataset writes: {what}"
        )
    return [_open_shard(source, path) for path in found[part - 1 :: parts]]


def _is_shard(path: Path) -> bool:
    """Whether it is a tar, or a table without one that has the pictures, or may have had them."""
    if path.suffix == ".tar":
        return True
    try:
        return not path.with_suffix(".tar").is_file() and has_pictures(path)
    except (pa.ArrowException, OSError):
        return True  # `_open_shard` says what is wrong with it


def _open_shard(source: Path, path: Path) -> Shard:
    tar, table = path if path.suffix == ".tar" else None, path.with_suffix(".parquet")
    remedy = "fetch the shard again, or take it out of the folder"
    try:
        metadata = pq.read_metadata(table)
        schema = metadata.schema.to_arrow_schema()
    except FileNotFoundError:
        raise DataError(f"no {table.name} beside the shard", where=path, remedy=remedy) from None
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"no table of Parquet ({error})", where=table, remedy=remedy) from None
    names = schema.names
    if lacking := [name for name in COLUMNS if name not in names]:
        remedy = "img2dataset writes them with --compute_hash sha256"
        raise DataError(f"has no column {', '.join(lacking)}", where=table, remedy=remedy)
    if schema.field(CAPTION).type not in (pa.string(), pa.null()):
        raise DataError(f"{CAPTION} is no column of strings", where=table, remedy=remedy)
    if ours := [name for name in ADDED.names if name in names]:
        remedy = "give the shards that img2dataset wrote"
        raise DataError(f"has a column {ours[0]} already", where=table, remedy=remedy)
    name = path.relative_to(source).with_suffix("").as_posix()
    return Shard(name, tar, table, metadata.num_rows)


class Written:
    """The place of a shard's result."""

    def __init__(self, shard: Shard, out: Path) -> None:
        self.shard = shard
        self.tar = out / f"{shard.name}.tar" if shard.tar else None
        self.table = out / f"{shard.name}.parquet"
        self.record = out / f"{shard.name}.captions.json"

    def find_counts(self, arguments: dict[str, Any]) -> dict[str, Any] | None:
        """The counts of a shard that is done; None where it is still to do.

        Raises:
            UserError: It was done under other arguments.
            DataError: Its input, or its result, is not what it was, or what lies there instead is
                no result of ours.
        """
        if not self.record.is_file():
            self._hold_place()
            return None
        record = read_json(self.record)
        self._hold_arguments(record.get("arguments", {}), arguments)
        again = f"remove {self.table.stem}.* there to do the shard again"
        if record.get("input") != describe_input(self.shard):
            message = "was made from other files of the source"
            raise DataError(message, where=self.record, remedy=again)
        whole = all(path.is_file() for path in self._files)
        if not whole or record.get("table") != hash_file(self.table):
            message = "the tar or the table beside it is missing or changed"
            raise DataError(message, where=self.record, remedy=again)
        return record["counts"]

    def _hold_place(self) -> None:
        """See that nothing is written over but what a killed run of ours left.

        Raises:
            DataError: Another's shard lies there.
        """
        if not any(path.exists() for path in self._files):
            return
        try:
            ours = {*ADDED.names} <= {*pq.read_schema(self.table).names}
        except (pa.ArrowException, OSError):
            ours = False
        if not ours:
            message = "a shard lies there that this command did not write"
            raise DataError(message, where=self._files[0], remedy="give another --out")

    @property
    def _files(self) -> list[Path]:
        return [self.tar, self.table] if self.tar else [self.table]

    def _hold_arguments(self, then: dict[str, Any], now: dict[str, Any]) -> None:
        """See that a shard was made under the arguments of now.

        Raises:
            UserError: It was not; names the first that differs.
        """
        for key in sorted({*then, *now}):
            if then.get(key) != now.get(key):
                raise UserError(
                    f"was made with {key} {then.get(key)!r}, not {now.get(key)!r}",
                    where=self.record,
                    remedy="give another --out, or the arguments of then",
                )

    def write(
        self, tables: Iterable[pa.Table], arguments: dict[str, Any], counts: dict[str, int]
    ) -> None:
        """Write the result of a shard.

        Args:
            tables: What the table holds, one after the other.
            arguments: For the record.
            counts: For the record; complete when `tables` is at its end.
        """
        self.table.parent.mkdir(parents=True, exist_ok=True)
        for rest in self.table.parent.glob(f".{escape(self.table.stem)}.*.tmp"):  # of a killed run
            rest.unlink()
        given = describe_input(self.shard)
        with replace_file(self.table) as temporary:
            _write_tables(temporary, tables)
        if self.tar and self.shard.tar:
            with replace_file(self.tar) as temporary:
                _place(self.shard.tar.resolve(), temporary)
        record = {
            "arguments": arguments,
            "input": given,
            "table": hash_file(self.table),
            "counts": counts,
        }
        write_json(self.record, record)


def describe_input(shard: Shard) -> dict[str, str]:
    """The digests of a shard's files: about a second a gigabyte."""
    tar = {"tar": hash_file(shard.tar)} if shard.tar else {}
    return {**tar, "table": hash_file(shard.table)}


def _place(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without links
        shutil.copyfile(source, target)


def _write_tables(path: Path, tables: Iterable[pa.Table]) -> None:
    writer = None
    try:
        for table in tables:
            writer = writer or pq.ParquetWriter(path, table.schema, compression="zstd")
            writer.write_table(table)
    finally:
        if writer is not None:
            writer.close()


def read_chunks(shard: Shard) -> Iterator[pa.Table]:
    """A shard's table in pieces of up to so many rows; one without rows as one piece."""
    rows = CHUNK if shard.tar else CHUNK_OF_PICTURES
    with pq.ParquetFile(shard.table) as file:
        empty = True
        for batch in file.iter_batches(batch_size=rows):
            empty = False
            yield pa.Table.from_batches([batch])
        if empty:
            yield file.schema_arrow.empty_table()


def add_columns(table: pa.Table, values: Sequence[dict[str, Any]]) -> pa.Table:
    """A piece of a shard's table with captions of ours.

    Args:
        table: From `read_chunks`.
        values: For each row what stands in `caption` and in the columns ADDED; null if not named.
    """
    place = table.schema.get_field_index(CAPTION)
    captions = pa.array([row[CAPTION] for row in values], pa.string())
    table = table.set_column(place, pa.field(CAPTION, pa.string()), captions)
    for field in ADDED:
        column = pa.array([row.get(field.name) for row in values], field.type)
        table = table.append_column(field, column)
    return table.replace_schema_metadata(None)
