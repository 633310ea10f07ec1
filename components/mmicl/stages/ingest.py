"""Stage ingest@DATASET: official files into Examples, quarantine and the picture store."""

import shutil
import tempfile
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from mmicl.config import load_config
from mmicl.errors import UserError
from mmicl.files import replace_folder
from mmicl.launch.sharing import share_out
from mmicl.paths import Paths
from mmicl.sources import (
    READERS,
    Reader,
    Sharing,
    find_reader,
    ingest_dataset,
    name_files,
    set_frames,
)
from mmicl.stages import StageContext


def run(context: StageContext) -> None:
    """Ingest the dataset that the context names."""
    if context.item is None:
        raise UserError("ingest needs a dataset", remedy="run mmicl stage ingest@DATASET")
    name, paths = context.item, context.paths
    dataset = context.config.datasets[name]
    reader = find_reader(dataset.reader, f"datasets.{name}.reader")
    reader = name_files(reader, dataset.files, f"datasets.{name}.files")
    works = paths.cache("ingest-works") / name / context.fingerprint
    remove_others(works)
    sharing = Sharing(partial(share_out, context.config.launch), works)
    manifest = ingest_dataset(
        set_frames(reader, dataset.frames, f"datasets.{name}.frames"),
        paths.raw(name),
        paths.examples(name),
        paths.images(name),
        name=name,
        max_quarantined=dataset.max_quarantined,
        resplit=dataset.resplit,
        quarantine=paths.cache("quarantine") / name,
        lender=paths.images(dataset.lender) if dataset.lender else None,
        sharing=sharing,
    )
    context.facts.update(
        examples=manifest["examples"],
        splits=manifest["splits"],
        quarantined=manifest["quarantined"],
        unused=manifest["unused"],
        images=manifest["images"],
        borrowed=manifest["borrowed"],
        works=sharing.works,
        works_taken_up=sharing.taken_up,
    )


def remove_others(folder: Path) -> None:
    """Remove what was kept for other fingerprints: nobody will take it up."""
    for other in folder.parent.glob("*"):
        if other != folder:
            shutil.rmtree(other, ignore_errors=True)


def ingest_uri(
    dataset: str,
    source: str,
    out: Path,
    paths: Paths,
    names: Mapping[str, str] | None = None,
    frames: int | None = None,
) -> dict[str, Any]:
    """Read one dataset outside the pipeline, with its official splits and any share quarantined.

    `dataset` is a reader, or a dataset of params.yaml whose reader is meant.
    `out` gets examples.parquet, rejected.parquet, pictures.parquet, manifest.json and images/.
    A plain folder is read in place; it may lie anywhere. `names` says which files play which
    role where they are named otherwise (docs/datasets.md), `frames` how many to take of each video
    (None: the reader's own number). The quarantine is this command's
    purpose, so only a dataset without a single sound record is refused.

    Returns:
        The manifest (`mmicl.sources.ingest_dataset`).

    Raises:
        UserError: The reader, a role, `frames`, source or `out` is wrong.
        DataError: A whole file cannot be read, or no record can.
    """
    reader = set_frames(name_files(_choose_reader(dataset, paths), names or {}), frames)
    out = out.expanduser().resolve()
    _check_replaceable(out)
    work = paths.cache("ingest")
    work.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=work) as temporary, replace_folder(out) as whole:
        folder = _bring(source, Path(temporary) / "raw", paths)
        tables = Path(temporary) / "tables"
        manifest = ingest_dataset(
            reader,
            folder,
            tables,
            whole / "images",
            name=dataset,
            max_quarantined=1.0,
            resplit=None,
            quarantine=paths.cache("quarantine") / dataset,
        )
        for path in tables.iterdir():
            (whole / path.name).write_bytes(path.read_bytes())
    return manifest


def _choose_reader(dataset: str, paths: Paths) -> Reader:
    """A reader by its own name, or by that of a dataset that params.yaml reads with it."""
    params = paths.root / "params.yaml"
    if dataset not in READERS and params.is_file():
        datasets = load_config(params).datasets
        dataset = datasets[dataset].reader if dataset in datasets else dataset
    return find_reader(dataset, "mmicl ingest")


def _bring(source: str, folder: Path, paths: Paths) -> Path:
    """The folder to read: in place where it can be, else fetched into `folder`.

    Imports late: the stage itself reads what fetch left, and does not depend on its code.
    """
    from mmicl.fetch import fetch_dataset, locate_folder, parse_source
    from mmicl.stages.fetch import render_world

    if "://" not in source and "?" not in source:
        place = Path(source).expanduser().resolve()
        if not place.is_dir():
            message = "not a folder" if place.exists() else "no such folder"
            raise UserError(message, where=source, remedy="check --source")
        return place
    parsed = parse_source(source)
    if parsed.kind == "alias" and not parsed.include:
        return locate_folder(parsed, paths.root)
    fetch_dataset(
        source, folder, licence="", state=paths.cache("fetch"), root=paths.root,
        generate=render_world,
    )  # fmt: skip
    return folder


def _check_replaceable(out: Path) -> None:
    """Refuse to replace a folder that this command did not write."""
    tables = {"examples.parquet", "rejected.parquet", "pictures.parquet"}
    ours = {*tables, "manifest.json", "images"}
    if out.is_file() or (out.is_dir() and {path.name for path in out.iterdir()} - ours):
        message = "exists and holds other things"
        raise UserError(message, where=out, remedy="name a new or empty folder")
