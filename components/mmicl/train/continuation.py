"""Going on with a training after its code has changed, because somebody says so.

A changed line gives a run another fingerprint, so another folder, in which it would begin anew.
`continue_run` gives the new folder the newest checkpoint of an earlier run, if nothing but code
differs, and leaves word of it, which the stage's record and its MLflow run repeat.
"""

from pathlib import Path
from typing import Any

from mmicl.errors import UserError
from mmicl.files import read_json, write_json
from mmicl.lineage import Inputs, read_kept
from mmicl.paths import Paths
from mmicl.supervision import RunLock
from mmicl.train.checkpoints import copy_checkpoint, list_steps, step_folder, walk_whole

TRAINING = ("pretrain", "finetune")
"""Stages with checkpoints."""
CONTINUED = "continued.json"
_CODE = ("components/", "infra/")


def continue_run(
    paths: Paths, stage: str, inputs: Inputs, source: str | None, revision: str
) -> dict[str, Any]:
    """Let the present run of a stage go on from an earlier run's newest whole checkpoint.

    Args:
        paths: The checkout.
        stage: `pretrain` or `finetune`.
        inputs: Its inputs as they are now.
        source: The beginning of the earlier run's fingerprint; None takes the run whose checkpoint
            is the newest of those that differ in code alone.
        revision: Of the code that goes on.

    Returns:
        What was noted: `from`, `step`, `code` (the changed dependencies) and `revision`.

    Raises:
        UserError: No such stage or run, the present run has begun by itself or ended, or more than
            code differs.
        BusyError: The present run is at work.
    """
    if stage not in TRAINING:
        raise UserError("has no checkpoints", where=stage, remedy=f"name {' or '.join(TRAINING)}")
    target = paths.run(stage, inputs.fingerprint)
    with RunLock(target):
        if (target / "result").is_dir() or list_steps(target):
            raise UserError("has begun by itself, and goes on from there", where=stage)
        earlier, step, changes = _choose(target, stage, inputs, source)
        told = {"from": earlier.name, "step": step, "code": changes, "revision": revision}
        inputs.keep(target)
        write_json(target / CONTINUED, told)  # before the checkpoint: none without its origin
        copy_checkpoint(earlier, target, step)
    return told


def read_continued(run_folder: Path) -> dict[str, Any]:
    """Facts of a run that goes on from another: `continued_from`, `continued_at`; else none."""
    path = run_folder / CONTINUED
    if not path.is_file():
        return {}
    told = read_json(path)
    return {
        "continued_from": told["from"],
        "continued_at": told["step"],
        "continued_over": ", ".join(told["code"]),
    }


def list_changes(before: Inputs | None, now: Inputs) -> list[str]:
    """Names of what differs: `command`, `params KEY`, and paths of dependencies."""
    if before is None:
        return ["inputs that were not kept"]
    names = ["command"] if before.command != now.command else []
    for prefix, old, new in (
        ("params ", before.params, now.params),
        ("", before.deps, now.deps),
    ):
        names += [f"{prefix}{key}" for key in sorted({*old, *new}) if old.get(key) != new.get(key)]
    return names


def _choose(
    target: Path, stage: str, inputs: Inputs, source: str | None
) -> tuple[Path, int, list[str]]:
    """The earlier run, the step of its newest whole checkpoint, and what differs."""
    found: list[tuple[float, Path, int, list[str]]] = []
    faults: list[str] = []
    for folder in sorted(target.parent.glob(f"{source or ''}*")):
        if folder == target or not list_steps(folder):
            continue
        changes = list_changes(read_kept(folder), inputs)
        if other := [name for name in changes if not name.startswith(_CODE)]:
            faults.append(f"{folder.name[:12]} differs in {other[0]}")
            continue  # before its files are read: they are large
        for step, _ in walk_whole(folder):
            found.append((step_folder(folder, step).stat().st_mtime, folder, step, changes))
            break
    if not found:
        more = f" ({'; '.join(faults)})" if faults else ""
        raise UserError(
            f"no earlier run with a whole checkpoint differs in code alone{more}", where=stage
        )
    _, folder, step, changes = max(found)
    return folder, step, changes
