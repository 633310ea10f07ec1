"""The training benchmark: what both sides compute is the same, and what it reports is right."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import train_model
from train_data import MAX_IMAGES, TEXT_TOKENS, decode_all, draw_samples, store_pictures
from train_measure import Block, Recorder
from train_model import build_published, make_empty
from train_reference import SLOTS, TOKENS, ReferenceBatches
from train_report import Machine, Weights, compare, describe, find_floor, write_table
from transformers import Blip2Config

from mmicl.files import read_json
from mmicl.model.loading import load_model
from mmicl.model.processor import IGNORED
from mmicl.train.batches import BatchMaker
from mmicl.train.engine import LossModel

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def tiny() -> Any:
    return load_model("builtin:tiny")


@pytest.fixture(scope="module")
def sides(tiny: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[BatchMaker, BatchMaker]:
    """The product's batches and the reference's, over the same samples."""
    _, processor = tiny
    store, references = store_pictures(tmp_path_factory.mktemp("pictures"), (48, 40), 12)
    samples = draw_samples("finetune", references, 32)
    visual = decode_all(references, store, processor, 1)
    given: Any = {
        "ranks": 1, "rank": 0, "micro_batch": 3, "micro_tokens": 300, "max_target_tokens": 16,
    }  # fmt: skip
    return (
        BatchMaker(samples, processor, visual, **given),
        ReferenceBatches(samples, processor, visual, **given),
    )


def test_samples_are_mixed_and_of_the_stated_lengths(tiny: Any) -> None:
    _, processor = tiny
    samples = draw_samples("finetune", ["a", "b", "c"], 160)
    for count in range(1, MAX_IMAGES + 1):
        own = [row for row in samples if len(row.images) == count]
        assert len(own) == 160 / MAX_IMAGES
        low, high = TEXT_TOKENS[count]
        ids = processor.tokenizer([row.prompt for row in own]).input_ids
        texts = [len(values) - count for values in ids]  # without the placeholders
        assert min(texts) >= min(low, 6 * count + 2)
        assert max(texts) <= high + 2 * count
        assert np.mean(texts) == pytest.approx((low + high) / 2, abs=14)
    targets = processor.tokenizer([row.target for row in samples]).input_ids
    assert np.mean([len(values) for values in targets]) == pytest.approx(5.4, abs=1)
    assert draw_samples("finetune", ["a", "b", "c"], 160) == samples


def test_stage_one_has_an_image_and_a_caption_each() -> None:
    samples = draw_samples("pretrain", ["a"], 20)
    assert all(len(row.images) == 1 for row in samples)
    assert all(9 <= len(row.target.split()) <= 18 for row in samples)


def test_both_sides_have_the_same_loss_of_every_sample(
    tiny: Any, sides: tuple[BatchMaker, BatchMaker]
) -> None:
    model = LossModel(tiny[0])
    found = []
    for side in sides:
        losses = {}
        for micro in side.make_step(0, 1, 8).micro_batches:
            with torch.no_grad():
                values = model(micro.to(torch.device("cpu"))).tolist()
            losses |= dict(zip(micro.names, values, strict=True))
        found.append(losses)
    assert found[0].keys() == found[1].keys()
    assert found[0] == pytest.approx(found[1], abs=1e-3)


def test_the_reference_pads_texts_and_slots_and_packs_nothing(
    sides: tuple[BatchMaker, BatchMaker],
) -> None:
    ours, reference = (side.make_step(0, 0, 8) for side in sides)
    assert [len(micro.names) for micro in reference.micro_batches] == [3, 3, 2]
    for micro in reference.micro_batches:
        assert micro.input_ids.shape[1] == TOKENS
        assert micro.visual.shape[:2] == (len(micro.names), SLOTS)
        assert (micro.labels != IGNORED).any(0).all()
    counts = ("samples", "images", "tokens", "target_tokens")
    assert [getattr(ours, name) for name in counts] == [getattr(reference, name) for name in counts]
    assert reference.padding_share > 0.7 > ours.padding_share


def test_shapes_are_remembered_without_empty_slots(sides: tuple[BatchMaker, BatchMaker]) -> None:
    encoded, images = [], []
    for side in sides:
        recorder = Recorder(side)
        batch = recorder.make_step(0, 3, 8)
        facts, shapes = recorder.steps[3]
        assert facts.samples == 8 == sum(shape["rows"] for shape in shapes)
        assert sum(shape["images"] for shape in shapes) == batch.images
        encoded.append(sum(shape["encoded"] for shape in shapes))
        images.append(batch.images)
    assert encoded[0] < encoded[1] == images[1]


@pytest.mark.parametrize(("shape", "language"), [("xl", 2_849_757_184), ("xxl", 11_135_332_352)])
def test_shapes_are_the_published_ones(shape: str, language: int) -> None:
    """FLAN-T5's number of weights as the hub states it; ViT-g's and the Q-Former's are BLIP-2's."""
    model = make_empty(shape)
    sizes = {
        name: sum(value.numel() for value in part.parameters())
        for name, part in model.named_children()
    }
    assert sizes["language_model"] == language
    assert sizes["vision_model"] == pytest.approx(0.986e9, rel=0.01)
    assert sizes["qformer"] == pytest.approx(0.105e9, rel=0.01)


def test_a_made_model_is_seeded_tied_and_finite(monkeypatch: pytest.MonkeyPatch, tiny: Any) -> None:
    def small(shape: str, layers: int | None) -> Blip2Config:
        return tiny[0].config

    monkeypatch.setattr(train_model, "make_config", small)
    first, second = (build_published("xl", torch.device("cpu"), torch.float32)[0] for _ in range(2))
    language = first.language_model
    assert language.encoder.embed_tokens.weight is language.shared.weight
    assert language.decoder.embed_tokens.weight is language.shared.weight
    assert language.lm_head.weight is not language.shared.weight
    for (name, value), other in zip(first.named_parameters(), second.parameters(), strict=True):
        assert torch.equal(value, other), name
        assert torch.isfinite(value).all()
    assert not list(first.buffers())  # which would have been left as memory was
    assert language.encoder.block[0].layer[0].layer_norm.weight.unique().tolist() == [1.0]


def block(samples: int, seconds: float) -> Block:
    return Block(
        steps=2, seconds=seconds, samples=samples, images=10, tokens=100, padding_share=0.1,
        wait_share=0.01, operations=4 * 10**12, micro_batches=6, peak_gib=3.0,
    )  # fmt: skip


def test_rates_ratios_and_floor_are_those_of_the_blocks() -> None:
    machine = Machine("m", matrix_rate=8e12, copy_rate=1e9)
    ours, reference = [block(8, 1.0), block(8, 2.0), block(8, 4.0)], [block(2, 1.0)] * 3
    found = describe(ours, machine)
    assert found["samples_per_second"] == 4
    assert found["samples_per_second_range"] == [2, 8]
    assert found["mfu"] == 0.25
    assert found["step_seconds"] == 1
    assert compare(ours, reference) == {"ratio": 2, "range": [1, 4]}
    weights = Weights(twice=10**6, once=10**5, trained=10**6, precision="bf16")
    floor = find_floor(ours, machine, weights)
    assert floor["operations"] == 2 * 10**12
    assert floor["operations_seconds"] == 0.25
    assert floor["bytes"] == 3 * (2 * 10**6 + 10**5) * 2 + 30 * 10**6
    assert floor["bytes_seconds"] == floor["bytes"] / 1e9
    lines = write_table({"ours": found | {"floor": floor}}).splitlines()
    assert len({line.count("|") for line in lines}) == 1
    assert "| ours | 4 | 2 to 8 |" in lines[2]


@pytest.mark.slow
def test_the_script_runs_to_its_table(tmp_path: Path) -> None:
    command = [
        sys.executable, str(ROOT / "tests/bench/train.py"), "--profile", "tiny", "--pairs", "1",
        "--steps", "1", "--reference-steps", "1", "--global-batch", "2", "--images", "8",
        "--out", str(tmp_path / "found.json"),
    ]  # fmt: skip
    ended = subprocess.run(command, capture_output=True, text=True, timeout=500, check=False)
    assert ended.returncode == 0, ended.stderr
    found = read_json(tmp_path / "found.json")
    rates = [found["sides"][side]["samples_per_second"] for side in ("ours", "reference")]
    assert found["ratio"]["ratio"] == pytest.approx(rates[0] / rates[1])
    assert f"ours / reference: {rates[0] / rates[1]:.3g} " in ended.stdout
    # what makes the difference, by no clock
    padding = [found["sides"][side]["padding_share"] for side in ("ours", "reference")]
    assert padding[0] < padding[1]
