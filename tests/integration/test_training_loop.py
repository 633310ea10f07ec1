"""The loop over a real DeepSpeed engine, in this process: what learns and what stays."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from training_run import prepare
from training_workspace import make_workspace, read_config

from mmicl.files import read_json
from mmicl.model.freeze import select_trainable
from mmicl.model.loading import load_model
from mmicl.paths import Paths
from mmicl.train.batches import StepBatch
from mmicl.train.checkpoints import step_folder
from mmicl.train.engine import blip2_of
from mmicl.train.meters import read_curve
from mmicl.train.state import STATE
from mmicl.train.worker import Job, train

pytestmark = pytest.mark.usefixtures("one_rank")


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
                pixel_values=micro.visual[micro.slots],
                input_ids=micro.input_ids,
                attention_mask=micro.attention_mask,
                labels=micro.labels,
            ).loss
        count = int((micro.labels != -100).sum())
        total, tokens = total + float(loss) * count, tokens + count
    trainer.run()
    assert trainer.curve[0].loss == pytest.approx(total / tokens, abs=1e-5)


@pytest.mark.parametrize("zero_stage", [0, 2])
@pytest.mark.parametrize("clip_norm", [1e-3, 1e3])
def test_gradients_are_clipped_to_their_norm_before_the_optimizer_sees_them(
    paths: Paths, tmp_path: Path, zero_stage: int, clip_norm: float
) -> None:
    # AdamW's steps hardly tell how long a gradient is; its first moment does: a tenth of it.
    launch = {"zero_stage": zero_stage, "checkpoint_every": 1}
    pretrain = {"steps": 2, "clip_norm": clip_norm}
    trainer = prepare(paths, tmp_path / "run", pretrain=pretrain, launch=launch)
    batch = trainer.batches.make_step(trainer.seed, 0, 8)
    trainer.run()
    moments = load_file(step_folder(tmp_path / "run", 1) / STATE)

    model, _ = load_model(str(paths.root / "base"))
    names = select_trainable(model, "stage1")
    for micro in batch.micro_batches:
        loss = model(
            pixel_values=micro.visual[micro.slots],
            input_ids=micro.input_ids,
            attention_mask=micro.attention_mask,
            labels=micro.labels,
        ).loss
        (loss * (micro.labels != -100).sum() / batch.target_tokens).backward()
    learning = {name: value for name, value in model.named_parameters() if name in names}
    norm = torch.nn.utils.clip_grad_norm_(learning.values(), clip_norm)
    assert 1e-3 < norm < 1e3
    assert trainer.curve[0].grad_norm == pytest.approx(float(norm), rel=1e-4)
    for name, value in learning.items():
        assert value.grad is not None
        found = moments[f"exp_avg.{name}"]
        torch.testing.assert_close(found, value.grad / 10, rtol=1e-3, atol=1e-6 * min(clip_norm, 1))
    lengths = [value.norm() for name, value in moments.items() if name.startswith("exp_avg.")]
    assert float(torch.stack(lengths).norm()) == pytest.approx(
        min(float(norm), clip_norm) / 10, rel=1e-3
    )


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
