"""Operations counted by hand are those that torch's own counter sees."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import Blip2ForConditionalGeneration

from mmicl.config import Lora
from mmicl.model.freeze import select_trainable
from mmicl.model.inference import find_placeholders
from mmicl.model.loading import load_model
from mmicl.train.batches import MicroBatch
from mmicl.train.engine import LossModel
from mmicl.train.operations import count_step

PROMPTS = ["image 0 is <image0>图. image 1 is <image1>图. Which is red?", "图 What is this?"]
TARGETS = ["the first of the two", "a ring"]


@pytest.fixture
def model() -> Any:
    """The miniature with attention written out: torch counts a fused one's recomputation too."""
    shared, _ = load_model("builtin:tiny")
    own = Blip2ForConditionalGeneration(shared.config)
    own.load_state_dict(shared.state_dict())
    own.set_attn_implementation("eager")
    return own.eval()


def make_batch(model: Any, pixels: bool) -> MicroBatch:
    _, processor = load_model("builtin:tiny")
    prompts = processor.pad(processor.encode(PROMPTS, [2, 1]))
    size = model.config.vision_config.image_size
    shape = (2, 3, size, size) if pixels else (3, 4, model.config.qformer_config.hidden_size)
    return MicroBatch(
        input_ids=prompts["input_ids"],
        attention_mask=prompts["attention_mask"],
        padded=True,
        places=find_placeholders(prompts["input_ids"], processor.placeholder_id),
        labels=processor.encode_targets(TARGETS).labels,
        visual=torch.randn(shape),
        slots=torch.tensor([1, 0, 1] if pixels else [0, 1, 2]),
        names=("a", "b"),
    )


def count_by_torch(model: Any, batch: MicroBatch) -> tuple[int, int]:
    wrapped = LossModel(model)
    with FlopCounterMode(display=False) as counter:
        loss = wrapped(batch).sum()
        forward = counter.get_total_flops()
        loss.backward()
    return forward, counter.get_total_flops() - forward


@pytest.mark.parametrize(
    ("recipe", "pixels", "lora"),
    [
        ("stage1", True, None),
        ("design", False, None),
        ("design", True, None),  # as the original trains: everything before T5 forward alone
        ("paper", False, None),
        ("released", False, None),
        ("all", False, None),
        ("design", False, Lora(rank=2, alpha=4.0)),
    ],
)
def test_both_ways_equal_what_torch_counts(
    model: Any, recipe: str, pixels: bool, lora: Lora | None
) -> None:
    select_trainable(model, recipe, lora)
    batch = make_batch(model, pixels)
    found = count_step(model, [batch])
    assert (found.forward, found.backward) == count_by_torch(model, batch)
    assert found.total == found.forward + found.backward


def test_without_images_the_gradient_goes_all_the_way_back_too(model: Any) -> None:
    select_trainable(model, "design")
    batch = make_batch(model, pixels=False)
    words = batch.input_ids.clone()
    words[words == model.config.image_token_index] = 5
    without = replace(
        batch,
        input_ids=words,
        places=batch.places[:0],
        visual=torch.zeros(0, 4, 1),
        slots=batch.slots[:0],
    )
    found = count_step(model, [without])
    assert (found.forward, found.backward) == count_by_torch(model, without)


def test_two_batches_are_their_sum(model: Any) -> None:
    select_trainable(model, "design")
    batch = make_batch(model, pixels=False)
    assert count_step(model, [batch, batch]).total == 2 * count_step(model, [batch]).total
