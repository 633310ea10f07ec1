"""Checkpoint folders: whole or absent.

`RUN/step_N/` is written under another name; its completion record (size and digest of every file)
is written last, then the folder is renamed and the name brought to the disk; only then are older
ones removed. A run may be killed at any point of this and finds a whole one. A folder without a
fitting record is no checkpoint. Knows nothing of what the files hold.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from mmicl.errors import DataError
from mmicl.files import hash_file, read_json, write_json

RECORD = "complete.json"


def step_folder(run_folder: Path, step: int) -> Path:
    """Where the checkpoint after `step` steps lies."""
    return run_folder / f"step_{step}"


def begin_checkpoint(run_folder: Path, step: int) -> Path:
    """An empty folder to write a checkpoint to; leftovers of earlier tries are removed."""
    remove_unfinished(run_folder)
    folder = writing_folder(run_folder, step)
    folder.mkdir(parents=True)
    return folder


def remove_unfinished(run_folder: Path) -> None:
    """Remove checkpoints that were begun and not completed."""
    for leftover in run_folder.glob(".step_*.tmp"):
        shutil.rmtree(leftover)


def writing_folder(run_folder: Path, step: int) -> Path:
    """Where a checkpoint lies while it is written; the same on every rank."""
    return run_folder / f".step_{step}.tmp"


def complete_checkpoint(run_folder: Path, step: int, facts: dict[str, Any], keep: int) -> Path:
    """Make a written checkpoint count, and remove all but the newest `keep`.

    Args:
        run_folder: The run's.
        step: Steps done.
        facts: What a run must have in common with this one to go on from here.
        keep: Checkpoints to keep.
    """
    folder = writing_folder(run_folder, step)
    files = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        with path.open("rb") as stream:
            os.fsync(stream.fileno())
        name = path.relative_to(folder).as_posix()
        files[name] = {"bytes": path.stat().st_size, "sha256": hash_file(path)}
    write_json(folder / RECORD, {"step": step, "facts": facts, "files": files})
    for inner in (folder, *(path for path in folder.rglob("*") if path.is_dir())):
        _sync_names(inner)
    final = step_folder(run_folder, step)
    if final.exists():  # one that was found damaged
        shutil.rmtree(final)
    folder.rename(final)
    _sync_names(run_folder)
    # A later one was passed over when this run began, and must not push a whole one out.
    for old in [old for old in list_steps(run_folder) if old <= step][keep:]:
        shutil.rmtree(step_folder(run_folder, old))
    return final


def find_checkpoint(
    run_folder: Path, facts: dict[str, Any], say: Callable[[str], None]
) -> int | None:
    """The step of the newest whole checkpoint that this run can go on from.

    Args:
        run_folder: The run's.
        facts: As given to `complete_checkpoint`; a checkpoint with others is passed over.
        say: Told, in one line, why a checkpoint is passed over.
    """
    for step, record in walk_whole(run_folder, say):
        if different := sorted(
            name
            for name in {*facts, *record["facts"]}
            if facts.get(name) != record["facts"].get(name)
        ):
            say(
                f"passing over {step_folder(run_folder, step).name}: written with "
                + ", ".join(f"{name} {record['facts'].get(name)}" for name in different)
                + f", this run has {', '.join(str(facts.get(name)) for name in different)}"
            )
            continue
        return step
    return None


def walk_whole(
    run_folder: Path, say: Callable[[str], None] = lambda _: None
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Whole checkpoints, newest first: the step and the completion record.

    Args:
        run_folder: The run's.
        say: Told, in one line, why a checkpoint is passed over.
    """
    for step in list_steps(run_folder):
        folder = step_folder(run_folder, step)
        try:
            record = check_checkpoint(folder)
        except DataError as error:
            say(f"passing over {folder.name}: {error.message}")
            continue
        yield step, record


def copy_checkpoint(source: Path, run_folder: Path, step: int) -> None:
    """Give a run the whole checkpoint of another one's folder."""
    folder = begin_checkpoint(run_folder, step)
    shutil.copytree(step_folder(source, step), folder, dirs_exist_ok=True)
    folder.rename(step_folder(run_folder, step))


def check_checkpoint(folder: Path) -> dict[str, Any]:
    """Compare a checkpoint's files with its completion record, and return the record.

    Raises:
        DataError: No record, or a file is missing, or differs in size or digest.
    """
    if not (folder / RECORD).exists():
        raise DataError("it has no completion record", where=folder)
    record = read_json(folder / RECORD)
    for name, expected in record["files"].items():
        path = folder / name
        if not path.is_file():
            raise DataError(f"{name} is missing", where=folder)
        if path.stat().st_size != expected["bytes"]:
            raise DataError(f"{name} has another size", where=folder)
        if hash_file(path) != expected["sha256"]:
            raise DataError(f"{name} is damaged", where=folder)
    return record


def _sync_names(folder: Path) -> None:
    """Bring a folder's names to the disk: a power cut may otherwise undo a rename."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def list_steps(run_folder: Path) -> list[int]:
    """Steps of the folders named like checkpoints, newest first."""
    names = (path.name.removeprefix("step_") for path in run_folder.glob("step_*"))
    return sorted((int(name) for name in names if name.isdigit()), reverse=True)
