"""Which weights learn: the exact sets, counted by hand from the miniature's shape."""

import pytest
import torch
from tiny_model import Tiny

from mmicl.errors import UserError
from mmicl.model.freeze import RECIPES, select_trainable, set_modes

PROJECTION = {"language_projection.weight", "language_projection.bias"}
ENCODER = [f"language_model.encoder.block.{n}.layer.0.SelfAttention" for n in range(4)]
DECODER = [f"language_model.decoder.block.{n}.layer.0.SelfAttention" for n in range(2)]
CROSS = [f"language_model.decoder.block.{n}.layer.1.EncDecAttention" for n in range(2)]


def attention(letters: str, blocks: list[str]) -> set[str]:
    return {f"{block}.{letter}.weight" for block in blocks for letter in letters}


@pytest.mark.parametrize(
    ("recipe", "expected"),
    [
        ("design", attention("kv", ENCODER + DECODER + CROSS)),
        ("paper", attention("qv", ENCODER + DECODER + CROSS)),
        ("released", attention("q", ENCODER + DECODER)),
        ("all", attention("qkv", ENCODER + DECODER + CROSS)),
    ],
)
def test_stage_two_trains_projection_and_these_attentions(
    tiny: Tiny, recipe: str, expected: set[str]
) -> None:
    model, _ = tiny
    assert set(select_trainable(model, recipe)) == PROJECTION | expected
    learning = {name for name, value in model.named_parameters() if value.requires_grad}
    assert learning == PROJECTION | expected


def test_stage_one_trains_qformer_queries_and_projection(tiny: Tiny) -> None:
    model, _ = tiny
    names = set(select_trainable(model, "stage1"))
    qformer = {name for name, _ in model.named_parameters() if name.startswith("qformer.")}
    assert len(qformer) == 54  # 2 + 2 layers x 26 tensors
    assert names == {"query_tokens"} | qformer | PROJECTION


def test_frozen_parts_draw_no_dropout(tiny: Tiny) -> None:
    model, _ = tiny
    select_trainable(model, "design")
    set_modes(model)
    training = {name for name, part in model.named_children() if part.training}
    assert training == {"language_projection", "language_model"}
    assert not any(module.training for module in model.qformer.modules())
    select_trainable(model, "stage1")
    set_modes(model)
    assert not any(module.training for module in model.language_model.modules())
    assert model.qformer.training


def test_gradients_reach_the_trained_weights_alone(tiny: Tiny) -> None:
    model, processor = tiny
    names = select_trainable(model, "design")
    batch = processor([[]], ["what is red?"])
    logits = model.language_model(
        input_ids=batch["input_ids"], decoder_input_ids=torch.zeros(1, 1, dtype=torch.long)
    ).logits
    logits.sum().backward()
    reached = {name for name, value in model.named_parameters() if value.grad is not None}
    assert reached == set(names) - PROJECTION  # no image: nothing to project


def test_an_unknown_recipe_is_refused(tiny: Tiny) -> None:
    with pytest.raises(UserError, match=f"recipes are {', '.join(RECIPES)}"):
        select_trainable(tiny[0], "stage3")
