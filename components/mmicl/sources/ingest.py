"""Read one dataset whole: Examples, quarantine and pictures, written whole or not at all."""

import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmicl.errors import DataError
from mmicl.files import (
    RowWriter,
    hash_file,
    replace_file,
    replace_folder,
    write_json,
    write_rows,
)
from mmicl.images.look import PICTURES, PictureRow
from mmicl.images.names import NAMES, Lender, NamedPicture
from mmicl.images.store import ImageWriter
from mmicl.records import Example, Rejected, Split
from mmicl.sources.ahead import Sharing, read_ahead
from mmicl.sources.reader import Reader
from mmicl.sources.reading import SPLITS, ReadContext

EXAMPLES = "examples.parquet"
REJECTED = "rejected.parquet"
MANIFEST = "manifest.json"
"""Ours beside the tables, and fetch's beside the official files."""


def ingest_dataset(
    reader: Reader,
    folder: Path,
    examples_out: Path,
    images_out: Path,
    *,
    name: str,
    max_quarantined: float,
    resplit: Mapping[Split, float] | None,
    quarantine: Path,
    lender: Path | None = None,
    sharing: Sharing | None = None,
) -> dict[str, Any]:
    """Read a dataset's official files into Examples and stored pictures.

    `examples_out` gets examples.parquet, rejected.parquet, pictures.parquet and manifest.json,
    `images_out` the shards and the names of their pictures; neither appears where the dataset is
    refused. Then the rejected records are left in `quarantine`, for a person to look at.

    Args:
        reader: The dataset's reader.
        folder: Its official files.
        examples_out: Folder of the tables.
        images_out: Folder of the picture shards.
        name: The dataset's name in params; begins every Example's id.
        max_quarantined: Share of records that may be unreadable, 0 to 1.
        resplit: Shares by which groups are dealt to splits; None keeps the official splits.
        quarantine: Where rejected.parquet goes when the share is exceeded.
        lender: The shards of a dataset whose pictures are not stored again.
        sharing: Who else checks the pictures of a large dataset; what is written is the same. Its
            folder is removed when all is written.

    Returns:
        The manifest: counts per split, of quarantined records by reason, of pictures, of what was
        not taken, and the sha256 of the official tables.

    Raises:
        DataError: A whole file cannot be read, there is no record, too many are rejected, or the
            lender has no table of names.
        ConfigError: The shares of `resplit` do not add up to 1.
        UserError: A file that the reader was told of (`name_files`) is not there.
    """
    with replace_folder(images_out) as images, replace_folder(examples_out) as tables:
        with ImageWriter(images, lender and Lender(lender)) as writer:
            context = ReadContext(
                name, folder, writer, resplit, named=reader.named, frame_count=reader.frames or 0
            )
            read = read_ahead(reader, context, sharing) if sharing else reader.read(context)
            intake = _read(read, tables)
        if not intake.records:
            files = ", ".join(reader.files)
            message = f"no record found by reader {reader.name}"
            raise DataError(message, where=f"dataset {name}", remedy=f"it reads {files}")
        _check_share(name, intake, max_quarantined, tables / REJECTED, quarantine)
        write_rows(tables / PICTURES, writer.describe(), PictureRow)
        if lender is None:
            write_rows(images / NAMES, _name_pictures(context), NamedPicture)
        manifest = _describe(reader, context, intake)
        write_json(tables / MANIFEST, manifest)
    shutil.rmtree(quarantine, ignore_errors=True)  # of an earlier try
    if sharing:
        shutil.rmtree(sharing.folder, ignore_errors=True)
    return manifest


def _name_pictures(context: ReadContext) -> Iterator[NamedPicture]:
    """The pictures that came as files of their own; others may borrow them."""
    for name, key in context.list_pictures():
        yield NamedPicture(name=name, **context.writer.row(key).model_dump())


@dataclass
class Intake:
    """What became of a dataset's records."""

    records: int = 0
    splits: Counter[str] = field(default_factory=Counter)
    """Examples of each split."""
    rejected: Counter[str] = field(default_factory=Counter)
    """Records that could not be read, by reason."""
    first: dict[str, Rejected] = field(default_factory=dict)
    """Reason -> the first record that was rejected for it."""


def _read(read: Iterable[list[Example] | Rejected], tables: Path) -> Intake:
    """Write all Examples and all rejected records while they are read."""
    intake, seen = Intake(), set[str]()
    with (
        RowWriter(tables / EXAMPLES, Example) as examples,
        RowWriter(tables / REJECTED, Rejected) as rejected,
    ):
        for result in read:
            intake.records += 1
            if isinstance(result, Rejected):
                row = result
            elif double := next((one for one in result if one.id in seen), None):
                row = _reject_double(double)
            else:
                for one in result:
                    examples.write(one)
                    intake.splits[one.split] += 1
                    seen.add(one.id)
                continue
            rejected.write(row)
            intake.rejected[row.reason] += 1
            intake.first.setdefault(row.reason, row)
    return intake


def _reject_double(example: Example) -> Rejected:
    return Rejected(
        dataset=example.dataset, split=example.split, record=example.id, file="",
        reason="duplicate_id", detail="an earlier record has the same id",
    )  # fmt: skip


def _check_share(name: str, intake: Intake, limit: float, table: Path, quarantine: Path) -> None:
    """Refuse the dataset if too many records are rejected, and leave them to be looked at."""
    records, rejected = intake.records, intake.rejected.total()
    share = rejected / records
    if share <= limit and rejected < records:
        return
    with replace_file(quarantine / REJECTED) as temporary:
        shutil.copyfile(table, temporary)
    (reason, count), *_ = intake.rejected.most_common(1)
    first = intake.first[reason]
    bar = f", more than max_quarantined {limit:.1%}" if share > limit else ""
    raise DataError(
        f"{rejected} of {records} records ({share:.1%}) cannot be read{bar}; most often "
        f"{reason} ({count}), first in {first.file} record {first.record}: {first.detail}",
        where=f"dataset {name}",
        remedy=f"see {quarantine / REJECTED}, mend the files or raise max_quarantined",
    )


def _describe(reader: Reader, context: ReadContext, intake: Intake) -> dict[str, Any]:
    """The manifest; equal inputs give equal manifests."""
    fetched = context.folder / MANIFEST
    return {
        "dataset": context.dataset,
        "reader": reader.name,
        "task": reader.task,
        "official_licence": reader.licence,
        "resplit": context.resplit and dict(context.resplit),
        "records": intake.records,
        "examples": intake.splits.total(),
        "splits": {split: intake.splits[split] for split in SPLITS},
        "quarantined": dict(intake.rejected),
        "quarantined_total": intake.rejected.total(),
        "quarantined_share": round(intake.rejected.total() / intake.records, 6),
        "unused": dict(context.unused),
        **({"digests": dict(context.digests)} if context.digests else {}),
        "images": len(context.writer.sizes),
        "borrowed": context.writer.borrowed,
        "lender": context.writer.lender and context.writer.lender.name,
        "sources": context.sources,
        "fetch_manifest": hash_file(fetched) if fetched.is_file() else None,
    }
