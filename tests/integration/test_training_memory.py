"""What saves memory changes no result; meters and traces. The loop runs over a real engine."""

import gzip
import json
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
from training_run import prepare, prepare_features
from training_workspace import make_workspace, read_config

from mmicl.paths import Paths
from mmicl.train.engine import blip2_of
from mmicl.train.loop import Trainer
from mmicl.train.operations import count_step

pytestmark = pytest.mark.usefixtures("one_rank")

slow = pytest.mark.slow
"""ZeRO 3 on a processor takes ten seconds a run."""


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
    read_config(paths, finetune={"steps": 3})
    prepare_features(paths)
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
    ("zero_stage", "offload", "precision"),
    [
        (1, "optimizer", "fp32"),
        (2, "optimizer", "fp32"),
        pytest.param(2, "optimizer", "bf16", marks=slow),
        pytest.param(3, "optimizer", "fp32", marks=slow),
        pytest.param(3, "parameters", "fp32", marks=slow),
        pytest.param(3, "parameters", "bf16", marks=slow),
    ],
)
def test_offloading_changes_nothing_but_rounding(
    paths: Paths, tmp_path: Path, zero_stage: int, offload: str, precision: str
) -> None:
    launch = {"zero_stage": zero_stage}
    plain = prepare(paths, tmp_path / "a", pretrain={"precision": precision}, launch=launch)
    plain.run()
    launch = {"offload": offload, "checkpoint_every": 4}
    moved = prepare(paths, tmp_path / "b", launch=launch)
    assert moved.engine.zero_cpu_offload()
    assert (moved.engine.zero_offload_param() is not None) == (offload == "parameters")
    whole = moved.run()
    loss, norm = (1e-5, 1e-3) if precision == "fp32" else (1e-2, 5e-2)
    for one, other in zip(plain.curve, moved.curve, strict=True):
        assert other.loss == pytest.approx(one.loss, rel=loss)
        assert other.grad_norm == pytest.approx(one.grad_norm, rel=norm)
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
