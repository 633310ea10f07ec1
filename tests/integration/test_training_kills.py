"""Kill -9 at every step of the save protocol: a real trainer writes a checkpoint again and again.

A trainer is built once, in a process of its own. For each step of the protocol that process forks:
the child writes the checkpoint and is killed at that step, the parent looks at what it left.
"""

import os
import resource
import shutil
import signal
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest
import torch
from training_run import only_rank, prepare
from training_workspace import make_workspace

from mmicl.train.checkpoints import (
    RECORD,
    begin_checkpoint,
    complete_checkpoint,
    find_checkpoint,
    step_folder,
)
from mmicl.train.loop import Trainer

pytestmark = pytest.mark.slow

NEW = 5
STEPS = {
    "open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.link", "os.listdir",
    "os.scandir", "shutil.rmtree",
}  # fmt: skip
"""What Python's audit hooks tell of, each before it happens."""


def save_in_child(trainer: Trainer, disturb: Callable[[], None]) -> int:
    """Write the checkpoint in a fork of this process; returns the signal that ended it, or 0."""
    child = os.fork()
    if child == 0:
        signal.alarm(60)  # a child that hangs is a failure, not a wait
        torch.distributed.barrier = lambda: None  # its threads are not forked, and it is alone
        disturb()
        trainer._checkpoint(NEW)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0


def die_at(number: int) -> None:
    """Kill this process before the step of that number (from 0)."""
    left = number

    def count(event: str = "", arguments: object = None) -> None:
        nonlocal left
        if event in STEPS:
            if not left:
                os.kill(os.getpid(), signal.SIGKILL)
            left -= 1

    # Audit hooks are not told of it; what a process wrote before it died is there without it.
    os.fsync = lambda stream: count("open")
    sys.addaudithook(count)


def die_in_write(size: int) -> None:
    """Let the kernel kill this process as soon as a file grows beyond a size, in mid-write."""
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def kill_everywhere(root: Path) -> list[dict[str, Any]]:
    """For each kill: where, the signal, what is found then, and after one more try."""
    with only_rank():
        paths = make_workspace(root, zero_stage=0, keep_checkpoints=2, checkpoint_every=100)
        run = root / "run"
        trainer = prepare(paths, run, pretrain={"steps": 6})
        for step in range(3):
            trainer._train_step(step, trainer._make_batch(step))
            trainer._checkpoint(step + 1)
        prepare_disk(trainer, run)
        before = root / "before"
        run.rename(before)
        found = []

        def attempt(where: str, disturb: Callable[[], None]) -> int:
            shutil.rmtree(run, ignore_errors=True)
            shutil.copytree(before, run, copy_function=os.link)  # nothing is written in place
            ended = save_in_child(trainer, disturb)
            first = find_checkpoint(run, trainer.facts, lambda line: None)
            shutil.copytree(
                step_folder(before, 3),
                begin_checkpoint(run, NEW),
                copy_function=os.link,
                ignore=lambda *_: [RECORD],
                dirs_exist_ok=True,
            )
            complete_checkpoint(run, NEW, trainer.facts, trainer.launch.keep_checkpoints)
            again = find_checkpoint(run, trainer.facts, lambda line: None)
            folders = sorted(path.name for path in run.iterdir() if path.is_dir())
            facts = {"where": where, "signal": ended, "found": first}
            found.append({**facts, "again": again, "folders": folders})
            return ended

        for size in (0, 1, 100, 1000, 10_000, 1_000_000):
            attempt(f"a file of {size} bytes", lambda size=size: die_in_write(size))
        number = 0
        while attempt(f"step {number}", lambda: die_at(number)):  # noqa: B023 - called at once
            number += 1
        return found


def prepare_disk(trainer: Trainer, run: Path) -> None:
    """An older checkpoint to remove, a whole one, a damaged one in the way, one half written."""
    shutil.copytree(step_folder(run, 3), step_folder(run, NEW))
    (step_folder(run, NEW) / "state.json").write_text("{")
    (begin_checkpoint(run, 4) / "state.json").write_text("{}")
    assert find_checkpoint(run, trainer.facts, lambda line: None) == 3


def test_a_kill_at_any_step_of_a_checkpoint_leaves_a_whole_one(tmp_path: Path) -> None:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as fresh:
        tries = fresh.submit(kill_everywhere, tmp_path).result()
    *killed, survived = tries
    assert survived["signal"] == 0 and survived["found"] == NEW
    assert len(killed) > 60, "steps of the protocol that were found"
    assert {one["signal"] for one in killed} == {signal.SIGKILL, signal.SIGXFSZ}
    for one in killed:
        assert one["found"] in (3, NEW), one
        assert one["again"] == NEW, one
        assert one["folders"] == ["step_3", f"step_{NEW}"], one
    # The new one counts from its rename on, and not before.
    steps = [one["found"] for one in killed if one["signal"] == signal.SIGKILL]
    assert steps == sorted(steps)
    assert {*steps} == {3, NEW}
