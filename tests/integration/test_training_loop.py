"""The loop over a real DeepSpeed engine, in this process: what learns and what stays."""

import gzip
import json
import math
import resource
import shutil
import socket
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from training_workspace import make_workspace, read_config

from mmicl.config import Validation
from mmicl.errors import DataError, ResourceError
from mmicl.files import read_json
from mmicl.model.freeze import select_trainable
from mmicl.model.loading import load_model
from mmicl.paths import Paths
from mmicl.stages import StageContext, features
from mmicl.train.batches import StepBatch
from mmicl.train.checkpoints import find_checkpoint, step_folder
from mmicl.train.engine import blip2_of, configure_torch, gather_trained
from mmicl.train.loop import Trainer
from mmicl.train.meters import CurveRow, Progress, read_curve
from mmicl.train.operations import count_step
from mmicl.train.outcome import raise_error, write_error
from mmicl.train.validation import Validator
from mmicl.train.worker import Job, prepare_trainer, train


@pytest.fixture(scope="module", autouse=True)
def one_rank() -> Iterator[None]:
    """This process as the only rank of a run."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    rank = {"RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "0", "DS_ACCELERATOR": "cpu"}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, **rank}.items():
            patch.setenv(name, value)
        yield
    torch.use_deterministic_algorithms(False)


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return make_workspace(tmp_path, checkpoint_every=100)


def prepare(
    paths: Paths, run: Path, stage: str = "pretrain", **sections: dict[str, object]
) -> Trainer:
    run.mkdir(parents=True, exist_ok=True)
    config = read_config(paths, **sections)
    configure_torch(config.seed, threads=1)
    job = Job(stage, paths, run, config, rank=0, ranks=1)
    trainer, _ = prepare_trainer(job, Progress(stage, 6, False), lambda metrics, step: None)
    return trainer


def test_only_the_recipes_weights_move_and_the_loss_falls(paths: Paths, tmp_path: Path) -> None:
    trainer = prepare(paths, tmp_path / "run", pretrain={"steps": 12})
    tensors = trainer.run()
    before, _ = load_model(str(paths.root / "base"))
    learning = select_trainable(before, "stage1")
    assert sorted(tensors) == learning
    old = dict(before.named_parameters())
    for name, value in blip2_of(trainer.engine).named_parameters():
        if name not in learning:
            assert torch.equal(value, old[name]), name
    moved = [name for name in learning if not torch.equal(tensors[name], old[name])]
    still = set(learning) - set(moved)
    assert all(name.endswith("key.bias") for name in still)  # softmax does not see them
    losses = [row.loss for row in trainer.curve]
    assert losses[-1] < 0.9 * losses[0]


def test_the_first_loss_is_the_plain_models_mean_over_target_tokens(
    paths: Paths, tmp_path: Path
) -> None:
    trainer = prepare(paths, tmp_path / "run", pretrain={"steps": 1})
    batch = trainer.batches.make_step(trainer.seed, 0, 8)
    model, _ = load_model(str(paths.root / "base"))
    total = tokens = 0.0
    for micro in batch.micro_batches:
        with torch.no_grad():
            loss = model(
                pixel_values=micro.visual,
                input_ids=micro.input_ids,
                attention_mask=micro.attention_mask,
                labels=micro.labels,
            ).loss
        count = int((micro.labels != -100).sum())
        total, tokens = total + float(loss) * count, tokens + count
    trainer.run()
    assert trainer.curve[0].loss == pytest.approx(total / tokens, abs=1e-5)


@pytest.mark.parametrize("zero_stage", [0, 1, 3])
def test_micro_batch_and_zero_stage_change_nothing_but_rounding(
    paths: Paths, tmp_path: Path, zero_stage: int
) -> None:
    expected = prepare(paths, tmp_path / "a", launch={"micro_batch": 4, "zero_stage": 2})
    found = prepare(paths, tmp_path / "b", launch={"micro_batch": 8, "zero_stage": zero_stage})
    make = found.batches.make_step

    def make_unevenly(seed: int, step: int, size: int) -> StepBatch:
        found.batches.micro_tokens = (40, 60, 200)[step % 3]  # 4, 3 and 1 micro batches
        return make(seed, step, size)

    found.batches.make_step = make_unevenly
    wanted, tensors = expected.run(), found.run()
    for one, other in zip(expected.curve, found.curve, strict=True):
        assert other.loss == pytest.approx(one.loss, rel=1e-5)
        assert other.grad_norm == pytest.approx(one.grad_norm, rel=1e-3)
    for name, value in wanted.items():
        if not name.endswith("key.bias"):  # their gradient is rounding, which AdamW blows up
            torch.testing.assert_close(tensors[name], value, atol=2e-4, rtol=0)


@pytest.mark.parametrize("zero_stage", [0, 1, 2, 3])
def test_a_resumed_run_ends_with_the_weights_of_an_undisturbed_one(
    tmp_path: Path, zero_stage: int
) -> None:
    # With dropout: without the restored state of the random numbers the weights would differ.
    paths = make_workspace(tmp_path, dropout=0.1, checkpoint_every=4)
    read_config(paths, launch={"zero_stage": zero_stage})
    first = prepare(paths, tmp_path / "run")
    whole, curve = first.run(), list(first.curve)
    torch.rand(3)
    second = prepare(paths, tmp_path / "run")
    resumed = second.run()
    assert second.started_from == 4
    assert second.curve == curve
    for name, value in whole.items():
        assert torch.equal(resumed[name], value), name


def poison(trainer: Trainer, place: int, factor: float = torch.nan) -> str:
    """Multiply the pixels of one sample; returns its id."""
    visual, bad = trainer.batches.visual, trainer.batches.samples[place]
    trainer.batches.visual = lambda image: (
        visual(image) * (factor if image == bad.images[0] else 1.0)
    )
    return bad.id


def test_a_loss_that_is_not_finite_names_the_samples(paths: Paths, tmp_path: Path) -> None:
    trainer = prepare(paths, tmp_path / "run")
    bad = poison(trainer, 5)
    with pytest.raises(DataError, match=rf"loss is not finite at step \d, for {bad}; look at"):
        trainer.run()


def weights_of(trainer: Trainer) -> dict[str, torch.Tensor]:
    return gather_trained(trainer.engine, trainer.names)


def record_weights(trainer: Trainer) -> list[dict[str, torch.Tensor]]:
    """A list that gets the weights after each step, and begins with those before the first."""
    seen, take = [weights_of(trainer)], trainer._train_step

    def train_step(step: int, batch: StepBatch) -> CurveRow:
        row = take(step, batch)
        seen.append(weights_of(trainer))
        return row

    trainer._train_step = train_step
    return seen


slow = pytest.mark.slow
"""ZeRO 3 on a processor takes ten seconds a run."""
SETTINGS = [
    (0, "fp32"),
    (1, "fp32"),
    (2, "fp32"),
    pytest.param(3, "fp32", marks=slow),
    (2, "bf16"),
    pytest.param(3, "bf16", marks=slow),
]


@pytest.mark.parametrize(("zero_stage", "precision"), SETTINGS)
def test_a_step_that_is_not_finite_changes_nothing_and_is_counted(
    paths: Paths, tmp_path: Path, zero_stage: int, precision: str
) -> None:
    # Three batches of eight make an epoch: the bad sample comes once in each.
    settings = {"max_skipped": 1, "precision": precision, "steps": 4}
    launch = {"zero_stage": zero_stage, "checkpoint_every": 1}
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


def validate(trainer: Trainer, losses: list[float], **settings: Any) -> Validator:
    """Let a trainer find these losses when it validates, which it does after every step."""
    chosen = Validation(**{"every": 1, "patience": None, "keep": "last", **settings})
    trainer.validator = Validator(trainer.batches, chosen, size=8)
    given = iter(losses)
    trainer.validator.measure = lambda engine: next(given)
    return trainer.validator


def test_a_run_ends_when_the_validation_loss_falls_no_more(
    paths: Paths, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trainer = prepare(paths, tmp_path / "run")
    trainer.progress.speaking = True
    validate(trainer, [3.0, 2.0, 2.5, math.nan, 1.0], patience=2)
    trainer.run()
    assert len(trainer.curve) == 4
    assert "ends at step 4: no lower validation loss than that of step 2" in capsys.readouterr().out
    facts = trainer.facts_of_result()
    assert (facts["steps"], facts["kept_step"], facts["validation_loss"]) == (4, 4, None)
    assert facts["best"] == {"step": 2, "validation_loss": 2.0}


def test_the_best_weights_are_handed_on_also_by_a_run_that_goes_on(
    paths: Paths, tmp_path: Path
) -> None:
    losses = [3.0, 2.0, 2.5, 1.0, 4.0, 2.0]
    launch = {"checkpoint_every": 3}
    plain = prepare(paths, tmp_path / "plain", pretrain={"steps": 6}, launch=launch)
    seen = record_weights(plain)
    plain.run()

    trainer = prepare(paths, tmp_path / "run")
    validate(trainer, losses, keep="best")
    tensors = trainer.run()
    assert all(torch.equal(value, seen[4][name]) for name, value in tensors.items())
    assert trainer.facts_of_result()["validation_loss"] == 1.0
    assert trainer.facts_of_result()["kept_step"] == 4

    # Cut off after step 4 and its best; after step 3 the best was that of step 2.
    again = prepare(paths, tmp_path / "run")
    found = validate(again, [2.0, 4.0, 2.0], keep="best")
    tensors = again.run()
    assert (again.started_from, found.best_step, found.best_loss) == (3, 2, 2.0)
    assert all(torch.equal(value, seen[2][name]) for name, value in tensors.items())


def test_the_validation_loss_is_the_mean_over_all_held_out_tokens(
    paths: Paths, tmp_path: Path
) -> None:
    trainer = prepare(paths, tmp_path / "run", pretrain={"steps": 1})
    settings = Validation(every=1, patience=None, keep="last")
    losses = [
        Validator(trainer.batches, settings, size).measure(trainer.engine) for size in (24, 5)
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    assert blip2_of(trainer.engine).qformer.training


@pytest.mark.parametrize("zero_stage", [0, 2, pytest.param(3, marks=slow)])
def test_recomputed_activations_change_nothing(
    paths: Paths, tmp_path: Path, zero_stage: int
) -> None:
    launch = {"zero_stage": zero_stage}
    plain = prepare(paths, tmp_path / "a", pretrain={"steps": 3}, launch=launch)
    expected = plain.run()
    saving = prepare(paths, tmp_path / "b", launch={"activation_checkpointing": True})
    calls = count_forwards(blip2_of(saving.engine))
    found = saving.run()
    compare_curves(plain, saving)
    for name, value in expected.items():
        if not name.endswith("key.bias"):  # their gradient is rounding, which AdamW blows up
            torch.testing.assert_close(found[name], value, atol=1e-4, rtol=0)
    # In stage I gradients pass through the language model as well, which learns nothing.
    once = calls["vision"]
    assert calls == {"vision": once, "qformer": 2 * once, "language": 2 * once}


def test_recomputed_activations_draw_the_same_dropout_in_stage_two(tmp_path: Path) -> None:
    paths = make_workspace(tmp_path, dropout=0.1)
    changes = {"pretrain": {"steps": 0}, "finetune": {"steps": 3}}
    config = read_config(paths, **changes)
    train(Job("pretrain", paths, tmp_path / "first", config, rank=0, ranks=1))
    shutil.copytree(tmp_path / "first" / "result", paths.pretrained)
    features.run(StageContext("features", None, config, paths, "0" * 40))
    trainers, weights = [], []
    for run, recomputing in (("a", False), ("b", True)):
        launch = {"activation_checkpointing": recomputing}
        trainers.append(prepare(paths, tmp_path / run, "finetune", launch=launch))
        weights.append(trainers[-1].run())
    compare_curves(*trainers)
    for name, value in weights[0].items():
        torch.testing.assert_close(weights[1][name], value, atol=1e-4, rtol=0)


def compare_curves(plain: Trainer, other: Trainer) -> None:
    """Equal but for rounding: transformers lays keys and values out otherwise without a cache."""
    for one, same in zip(plain.curve, other.curve, strict=True):
        assert same.loss == pytest.approx(one.loss, rel=1e-6)
        assert same.grad_norm == pytest.approx(one.grad_norm, rel=1e-5)


def count_forwards(model: Any) -> Counter[str]:
    """Count how often the first layer of each part is computed."""
    counts: Counter[str] = Counter()
    layers = {
        "vision": model.vision_model.encoder.layers[0].mlp,
        "qformer": model.qformer.encoder.layer[0].intermediate_query,
        "language": model.language_model.encoder.block[0].layer[-1],
    }
    for name, layer in layers.items():
        layer.register_forward_pre_hook(lambda *_, name=name: counts.update([name]))
    return counts


@pytest.mark.parametrize(
    ("zero_stage", "offload"),
    [
        (1, "optimizer"),
        (2, "optimizer"),
        pytest.param(3, "optimizer", marks=slow),
        pytest.param(3, "parameters", marks=slow),
    ],
)
def test_offloading_changes_nothing_but_rounding(
    paths: Paths, tmp_path: Path, zero_stage: int, offload: str
) -> None:
    plain = prepare(paths, tmp_path / "a", launch={"zero_stage": zero_stage})
    plain.run()
    launch = {"offload": offload, "checkpoint_every": 4}
    moved = prepare(paths, tmp_path / "b", launch=launch)
    assert moved.engine.zero_cpu_offload()
    assert (moved.engine.zero_offload_param() is not None) == (offload == "parameters")
    whole = moved.run()
    for one, other in zip(plain.curve, moved.curve, strict=True):
        assert other.loss == pytest.approx(one.loss, rel=1e-5)
        assert other.grad_norm == pytest.approx(one.grad_norm, rel=1e-3)
    again = prepare(paths, tmp_path / "b")
    resumed = again.run()
    assert again.started_from == 4
    assert again.curve == moved.curve
    assert all(torch.equal(resumed[name], value) for name, value in whole.items())


def test_a_peak_lets_meters_show_what_share_of_it_is_used(paths: Paths, tmp_path: Path) -> None:
    trainer = prepare(paths, tmp_path / "run", launch={"peak_tflops": 0.1})
    model = blip2_of(trainer.engine)
    expected = count_step(model, trainer.batches.make_step(trainer.seed, 0, 8).micro_batches).total
    reports: list[dict[str, float]] = []
    trainer.log = lambda metrics, step: reports.append(metrics)
    started = time.monotonic()
    trainer.run()
    took = time.monotonic() - started
    assert all(0 < report["mfu"] < 1 for report in reports)
    # captions are of one length, so that each of the six steps takes the like
    assert min(report["mfu"] for report in reports) > 0.5 * expected / 1e11 / took


def test_chosen_steps_are_traced(paths: Paths, tmp_path: Path) -> None:
    prepare(paths, tmp_path / "run", launch={"profile_steps": [2, 2], "zero_stage": 0}).run()
    with gzip.open(tmp_path / "run" / "trace.json.gz", "rt") as stream:
        events = json.load(stream)["traceEvents"]
    updates = [event for event in events if event.get("name", "").startswith("Optimizer.step#")]
    assert len(updates) == 2


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


def test_no_steps_hand_the_starting_weights_on(
    paths: Paths, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # In bf16 an engine would round the weights even without a step.
    config = read_config(paths, pretrain={"steps": 0, "precision": "bf16"})
    train(Job("pretrain", paths, tmp_path / "run", config, rank=0, ranks=1))
    assert "pretrain: nothing to train" in capsys.readouterr().out
    result = tmp_path / "run" / "result"
    before, _ = load_model(str(paths.root / "base"))
    old, tensors = dict(before.named_parameters()), load_file(result / "trained.safetensors")
    assert sorted(tensors) == select_trainable(before, "stage1")
    assert all(torch.equal(value, old[name]) for name, value in tensors.items())
    assert (result / "curve.csv").read_text().startswith("step,loss,")
    assert read_curve(result / "curve.csv") == []
    record = read_json(result / "trained.json")
    assert (record["samples"], record["final_loss"], record["training"]["steps"]) == (0, None, 0)
