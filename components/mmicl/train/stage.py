"""A training stage around its ranks: lock, launch, outcome, outs."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mmicl.config import Launch
from mmicl.files import read_json, replace_file, replace_folder
from mmicl.paths import Paths
from mmicl.supervision import RunLock
from mmicl.train.continuation import read_continued
from mmicl.train.outcome import clear_errors, raise_error

Launcher = Callable[[str, Paths, Path, Launch], int]


def run_training(
    stage: str, paths: Paths, run_folder: Path, out: Path, launch: Launch, launcher: Launcher
) -> dict[str, Any]:
    """Train a stage to the end, or go on where an earlier try was cut off, and write its outs.

    A run that ended, but whose outs are gone, gives them again without training.

    Args:
        stage: `pretrain` or `finetune`.
        paths: The checkout.
        run_folder: Of this very run: checkpoints, curve, result.
        out: The folder of the trained weights.
        launch: The hardware.
        launcher: Runs the ranks, such as `mmicl.launch.local.launch_training`.

    Returns:
        Facts for the stage's record.

    Raises:
        MmiclError: What a rank met, of its kind.
        BusyError: Another process runs this stage.
    """
    result = run_folder / "result"
    with RunLock(run_folder):
        clear_errors(run_folder)
        if not result.is_dir():
            code = launcher(stage, paths, run_folder, launch)
            if code or not result.is_dir():
                raise_error(run_folder, stage, code, run_folder / "ranks.log")
        with replace_folder(out) as folder:
            shutil.copytree(result, folder, dirs_exist_ok=True)
        with replace_file(paths.curve(stage)) as curve:
            shutil.copyfile(result / "curve.csv", curve)
    record = read_json(out / "trained.json")
    names = ("parameters", "of_parameters", "samples", "steps", "skipped_steps", "final_loss")
    chosen = (*names, "validation_loss", "best", "kept_step", "truncated_targets")
    facts = {name: record[name] for name in chosen if name in record}
    return facts | read_continued(run_folder)
