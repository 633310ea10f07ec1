"""What goes wrong in a run: numbers, memory, disk. The loop runs over a real engine."""

import json
import math
import resource
import shutil
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from forked_ranks import fork_ranks
from poisoned_rank import train_poisoned
from training_run import poison, prepare, record_weights, weights_of
from training_workspace import make_workspace, read_config

from mmicl.errors import DataError, ResourceError
from mmicl.files import read_json
from mmicl.paths import Paths
from mmicl.train.checkpoints import find_checkpoint, step_folder
from mmicl.train.engine import blip2_of
from mmicl.train.outcome import raise_error, write_error

pytestmark = pytest.mark.usefixtures("one_rank")

slow = pytest.mark.slow
"""ZeRO 3 on a processor takes ten seconds a run."""
SETTINGS = [
    (0, "fp32", "none"),
    (1, "fp32", "none"),
    (2, "fp32", "none"),
    pytest.param(3, "fp32", "parameters", marks=slow),
    pytest.param(1, "bf16", "none", marks=slow),
    (2, "bf16", "none"),
    pytest.param(2, "bf16", "optimizer", marks=slow),
    pytest.param(3, "bf16", "none", marks=slow),
]


def test_a_loss_that_is_not_finite_names_the_samples(paths: Paths, tmp_path: Path) -> None:
    trainer = prepare(paths, tmp_path / "run")
    bad = poison(trainer, 5)
    with pytest.raises(DataError, match=rf"loss is not finite at step \d, for {bad}; look at"):
        trainer.run()


@pytest.mark.parametrize(("zero_stage", "precision", "offload"), SETTINGS)
def test_a_step_that_is_not_finite_changes_nothing_and_is_counted(
    paths: Paths, tmp_path: Path, zero_stage: int, precision: str, offload: str
) -> None:
    # Three batches of eight make an epoch: the bad sample comes once in each.
    settings = {"max_skipped": 1, "precision": precision, "steps": 4}
    launch = {"zero_stage": zero_stage, "checkpoint_every": 1, "offload": offload}
    trainer = prepare(paths, tmp_path / "run", pretrain=settings, launch=launch)
    bad = poison(trainer, 5)
    seen = record_weights(trainer)
    trainer.run()
    left_out = [row.step for row in trainer.curve if not math.isfinite(row.loss)]
    assert trainer.skips.total == len(left_out) >= 1
    lines = (tmp_path / "run" / "skipped.jsonl").read_text().splitlines()
    expected = [{"step": step, "not_finite": "loss", "samples": [bad]} for step in left_out]
    assert [json.loads(line) for line in lines] == expected
    for step in range(1, 5):
        same = all(torch.equal(seen[step][name], seen[step - 1][name]) for name in trainer.names)
        assert same == (step in left_out)
    # A run that goes on counts the optimizer's steps, and ends as this one did.
    shutil.rmtree(step_folder(tmp_path / "run", 3))
    again = prepare(paths, tmp_path / "run")
    poison(again, 5)
    resumed = again.run()
    lines = (tmp_path / "run" / "skipped.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == expected
    assert (again.started_from, again.skips.total) == (2, trainer.skips.total)
    assert all(torch.equal(resumed[name], seen[-1][name]) for name in trainer.names)


def test_too_many_such_steps_in_a_row_end_the_run(paths: Paths, tmp_path: Path) -> None:
    settings = {"max_skipped": 1, "steps": 6}
    trainer = prepare(paths, tmp_path / "run", pretrain=settings)
    for place in range(24):
        poison(trainer, place)
    with pytest.raises(DataError, match=r"at step 2 and 1 before it, for .* and 8 more; look at"):
        trainer.run()
    assert len(trainer.curve) == 1


@slow
def test_all_ranks_leave_out_a_step_that_is_not_finite_on_one(tmp_path: Path) -> None:
    paths = make_workspace(tmp_path, processes=2, micro_batch=2)
    launch = read_config(paths, pretrain={"max_skipped": 1, "steps": 4}).launch
    run = tmp_path / "run"
    run.mkdir()
    code = fork_ranks(partial(train_poisoned, paths, run, 5), paths, run, launch)
    assert code == 0, (run / "ranks.log").read_text()
    lines = [json.loads(line) for line in (run / "skipped.jsonl").read_text().splitlines()]
    assert lines and all(line["samples"] == ["coco/train/5"] for line in lines)
    left_out = {line["step"] for line in lines}
    assert len(left_out) < 4
    seen = read_json(run / "seen_0.json")
    assert seen == read_json(run / "seen_1.json")
    for step in range(2, 5):
        assert (seen[step - 1] == seen[step - 2]) == (step in left_out)


@pytest.mark.parametrize("zero_stage", [0, 2])
def test_a_gradient_that_is_not_finite_is_left_out_as_well(
    paths: Paths, tmp_path: Path, zero_stage: int
) -> None:
    trainer = prepare(paths, tmp_path / "run", launch={"zero_stage": zero_stage})
    weight = blip2_of(trainer.engine).language_projection.bias
    weight.register_hook(lambda gradient: gradient * torch.inf)
    before = weights_of(trainer)
    with pytest.raises(DataError, match=r"the gradient is not finite at step 1, for a batch of c"):
        trainer.run()
    assert all(torch.equal(value, before[name]) for name, value in weights_of(trainer).items())


def test_a_forward_without_memory_says_what_to_change(
    paths: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = prepare(paths, tmp_path / "run")

    def run_out(**_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nGPU 0 has")

    encoder: Any = blip2_of(trainer.engine).language_model
    monkeypatch.setattr(encoder.encoder, "forward", run_out)
    with pytest.raises(torch.OutOfMemoryError) as caught:
        trainer.run()
    write_error(tmp_path / "run", 0, caught.value, trainer.launch)
    with pytest.raises(ResourceError) as said:
        raise_error(tmp_path / "run", "pretrain", 1, tmp_path / "ranks.log")
    assert str(said.value) == (
        "out of memory: CUDA out of memory. Tried to allocate 2.00 GiB.; lower "
        "launch.micro_tokens (now 900) or launch.micro_batch (now 4), set "
        "launch.activation_checkpointing, raise launch.zero_stage (now 2), or offload more "
        "(launch.offload, now none)"
    )


def test_a_full_disk_leaves_the_last_checkpoint(paths: Paths, tmp_path: Path) -> None:
    run = tmp_path / "run"
    trainer = prepare(paths, run, launch={"checkpoint_every": 2})
    save = trainer._save_progress

    def fill_the_disk(folder: Path) -> None:
        # Files may not grow any more: what a write to a full disk meets, without filling one.
        if folder.name == ".step_4.tmp":
            resource.setrlimit(resource.RLIMIT_FSIZE, (10, hard))
        save(folder)

    trainer._save_progress = fill_the_disk
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        with pytest.raises(OSError, match="File too large") as caught:
            trainer.run()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    write_error(run, 0, caught.value, trainer.launch)
    with pytest.raises(
        ResourceError, match=r"no room to write \(File too large\); make room there"
    ):
        raise_error(run, "pretrain", 1, run / "ranks.log")
    assert not list(run.glob(".step_*"))
    assert find_checkpoint(run, trainer.facts, print) == 2
