"""Web-scale pairs of picture and text, in the shards that img2dataset writes.

CC3M, CC12M, SBU and LAION-400M are published as lists of addresses; img2dataset fetches them into
`<shard>.tar` (`<key>.jpg`, `.txt`, `.json`) and `<shard>.parquet`, a row an address with `key`,
`caption`, `status` and `sha256`; or, with `--output_format parquet`, into `<shard>.parquet` alone,
whose column `jpg` has the pictures (img2dataset, `ParquetSampleWriter`). Addresses that gave no
picture are counted, rows whose picture is not there are rejected one by one.

The digest is that of the fetched bytes. It must agree between a tar and its table. A picture that
img2dataset encoded anew (its default) has other bytes, so that a digest that differs is no damage:
the meta says which ones have the fetched bytes, and the manifest counts both.
"""

import hashlib
import json
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from mmicl.images.decoding import MAX_BYTES
from mmicl.records import Example
from mmicl.sources.official import Official, Record, RecordError, Text
from mmicl.sources.reader import Page, Reader
from mmicl.sources.reading import ReadContext

COLUMNS = ("key", "caption", "status", "sha256", "url")
PATTERNS = ("**/*.tar", "**/*.parquet")
"""Of a shard's files."""
SUFFIXES = ("jpg", "png", "webp")
PICTURES = "jpg"
"""The column of pictures, of whatever format."""
BATCH = 100
"""Rows of a table that are in memory at a time, as many as img2dataset writes in a row group."""
DONE = "success"


class Fetched(Official):
    """A row of a shard's table that has a picture, whatever its text."""

    key: str
    sha256: str
    url: str = ""


class Row(Fetched):
    """One with a text that can be used."""

    caption: Text


@dataclass(frozen=True)
class Piece:
    """A member of a tar: where its bytes begin, and how many they are."""

    offset: int
    size: int


def find_pairs(context: ReadContext) -> Iterator[Record]:
    """Every fetched pair of every shard; a value is (row, its shard, the pieces of a tar)."""
    for path in context.files(*PATTERNS):
        if path.suffix == ".parquet":
            if not path.with_suffix(".tar").is_file():
                yield from _find_in_table(context, path)
            continue
        table = path.with_suffix(".parquet")
        if not table.is_file():
            error = RecordError("missing_table", f"no {table.name} beside the shard")
            yield Record("train", _name_shard(context, path), context.name(path), error)
            continue
        pieces = read_members(path)
        try:
            yield from _read_rows(context, path, table, pieces)
        except (pa.ArrowException, OSError) as error:
            yield _refuse_table(context, table, error)


def _find_in_table(context: ReadContext, table: Path) -> Iterator[Record]:
    """The fetched pairs of a table that has the pictures itself."""
    try:
        if has_pictures(table):
            yield from _read_rows(context, table, table, None)
        else:
            context.unused["tables without pictures or a tar"] += 1
    except (pa.ArrowException, OSError) as error:
        yield _refuse_table(context, table, error)


def has_pictures(table: Path) -> bool:
    """Whether a table is a shard by itself, and needs no tar.

    Raises:
        pyarrow.ArrowException: It is no table of Parquet.
        OSError: It cannot be read.
    """
    return PICTURES in pq.read_schema(table).names


def _refuse_table(context: ReadContext, table: Path, error: Exception) -> Record:
    broken = RecordError("malformed", f"{table.name} is no table of Parquet ({error})")
    return Record("train", _name_shard(context, table), context.name(table), broken)


def _name_shard(context: ReadContext, path: Path) -> str:
    """A shard's path without its suffix: each folder of a set begins anew with shard 00000."""
    return context.name(path.with_suffix(""))


def read_members(path: Path) -> dict[str, Piece]:
    """The plain files of a tar by name; what follows its cut-off end is not there.

    Links, devices and folders are passed over: nothing of a tar is ever unpacked.
    """
    pieces = {}
    size = path.stat().st_size
    try:
        with tarfile.open(path, "r:") as archive:
            for member in archive:
                if member.isreg() and member.offset_data + member.size <= size:
                    pieces[member.name] = Piece(member.offset_data, member.size)
    except (tarfile.TarError, EOFError):
        pass  # each row without its picture is rejected by itself
    return pieces


def _read_rows(
    context: ReadContext, path: Path, table: Path, pieces: dict[str, Piece] | None
) -> Iterator[Record]:
    with pq.ParquetFile(table) as file:
        wanted = COLUMNS if pieces is not None else (*COLUMNS, PICTURES)
        columns = [name for name in wanted if name in file.schema_arrow.names]
        for batch in file.iter_batches(BATCH, columns=columns):
            for row in batch.to_pylist():
                if row.get("status") == DONE:
                    own = f"{_name_shard(context, path)}-{row.get('key')}"
                    yield Record("train", own, context.name(table), (row, path, pieces))
                else:
                    context.unused["addresses that gave no picture"] += 1


def convert_pair(record: Record, context: ReadContext) -> Iterator[Example]:
    """One picture with its text."""
    value, path, pieces = record.value
    row = Row.model_validate(value)
    name, data = read_picture_of(row, value, path, pieces)
    image = context.writer.add_bytes(data, name)
    original = hashlib.sha256(data).hexdigest() == row.sha256
    context.digests["as fetched" if original else "of other bytes"] += 1
    yield context.example(
        record.split, record.id, task="caption", images=(image,), question="",
        answers=(row.caption,), target=row.caption, group=f"web-{row.sha256[:16]}",
        meta={"url": row.url, "sha256": row.sha256, "original_bytes": original},
    )  # fmt: skip


def read_picture_of(
    row: Fetched, value: Mapping[str, Any], path: Path, pieces: Mapping[str, Piece] | None
) -> tuple[str, bytes]:
    """What to call a row's picture in errors, and its bytes, not decoded.

    Args:
        row: Of the shard's table.
        value: The same as it stands there; its cell PICTURES is read where there is no tar.
        path: The tar, or the table that has the pictures itself.
        pieces: Of `read_members`; None without a tar.

    Raises:
        RecordError: There is none, or of too many bytes, or the tar notes another digest for it.
    """
    if pieces is None:
        data = value.get(PICTURES)
        if not isinstance(data, bytes):
            raise RecordError("missing_image", f"{path.name} has none for {row.key}")
        _check_size(len(data))
        return f"{row.key} in {path.name}", data
    names = [f"{row.key}.{suffix}" for suffix in SUFFIXES]
    name = next((name for name in names if name in pieces), None)
    if name is None:
        raise RecordError("missing_image", f"{path.name} has no {names[0]}")
    if sidecar := pieces.get(f"{row.key}.json"):
        _check_digest(_read_piece(path, sidecar), row)
    return f"{name} in {path.name}", _read_piece(path, pieces[name])


def _check_size(size: int) -> None:
    if size > MAX_BYTES:
        raise RecordError("too_many_bytes", f"{size} bytes, more than {MAX_BYTES}")


def _read_piece(path: Path, piece: Piece) -> bytes:
    _check_size(piece.size)
    with path.open("rb") as stream:
        stream.seek(piece.offset)
        return stream.read(piece.size)


def _check_digest(data: bytes, row: Fetched) -> None:
    """Hold the tar's own note of a picture against the table's.

    Raises:
        RecordError: They differ: the two files are not of one run.
    """
    try:
        noted = json.loads(data)["sha256"]
    except (ValueError, KeyError, TypeError):
        raise RecordError("malformed_json", f"{row.key}.json has no sha256") from None
    if noted != row.sha256:
        raise RecordError("digest", f"{row.key}: table and tar give different digests")


def _make(name: str, title: str, url: str, records: str, licence: str) -> Reader:
    """A reader of one web-scale set; they differ in what the page says alone."""
    return Reader(
        name=name,
        task="caption",
        files=(
            "<shard>.tar",
            "<shard>.parquet (img2dataset, --compute_hash sha256)",
            "or <shard>.parquet alone (--output_format parquet)",
        ),
        licence=licence,
        find=find_pairs,
        convert=convert_pair,
        page=Page(
            title=title,
            category="image captioning",
            use="stage I",
            url=url,
            records=records,
            makes="a picture of the web and its text",
        ),
    )


CC3M = _make(
    "cc3m",
    "Conceptual Captions (CC3M)",
    "https://ai.google.com/research/ConceptualCaptions",
    "3,318,333 addresses",
    "addresses and texts free to use (Google); pictures under their sites' terms",
)
CC12M = _make(
    "cc12m",
    "Conceptual 12M",
    "https://github.com/google-research-datasets/conceptual-12m",
    "12,423,374 addresses",
    "addresses and texts free to use (Google); pictures under their sites' terms",
)
SBU = _make(
    "sbu",
    "SBU Captions",
    "https://www.cs.rice.edu/~vo9/sbucaptions",
    "1,000,000 addresses",
    "none declared; photos under their Flickr terms",
)
LAION400M = _make(
    "laion400m",
    "LAION-400M",
    "https://laion.ai/blog/laion-400-open-dataset",
    "413 million addresses",
    "addresses and texts CC BY 4.0; pictures under their sites' terms",
)
