"""Which weights learn: the exact sets, counted by hand from the shapes of miniature, XL and XXL."""

from typing import Any

import pytest
import torch
from tiny_model import Tiny
from transformers import Blip2Config, Blip2ForConditionalGeneration

from mmicl.config import Lora
from mmicl.errors import UserError
from mmicl.model.freeze import RECIPES, select_trainable, set_modes
from mmicl.model.lora import ROWS

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


def test_nothing_is_recorded_of_a_frozen_encoder(tiny: Tiny) -> None:
    """Before the first weight that learns autograd keeps nothing, in inference mode or out of it.

    Inference mode itself is not for what a trained layer reads: it must save its inputs.
    """
    model: Any = tiny[0]
    select_trainable(model, "stage1")
    output = model.get_image_features(torch.zeros(1, 3, 64, 64))
    assert not output.last_hidden_state.requires_grad
    assert output.qformer_outputs.last_hidden_state.requires_grad


def test_an_unknown_recipe_is_refused(tiny: Tiny) -> None:
    with pytest.raises(UserError, match=f"recipes are {', '.join(RECIPES)}"):
        select_trainable(tiny[0], "stage3")


@pytest.fixture(scope="module", params=["xl", "xxl"])
def published(request: pytest.FixtureRequest) -> tuple[Any, int]:
    """BLIP-2 with FLAN-T5 in its real shape, without memory, and the language model's width."""
    width, feed_forward, heads = {"xl": (2048, 5120, 32), "xxl": (4096, 10240, 64)}[request.param]
    text = {
        "model_type": "t5", "d_model": width, "d_ff": feed_forward, "num_heads": heads, "d_kv": 64,
        "num_layers": 24, "vocab_size": 32128, "feed_forward_proj": "gated-gelu",
        "tie_word_embeddings": False,
    }  # fmt: skip
    with torch.device("meta"):
        return Blip2ForConditionalGeneration(Blip2Config(text_config=text)), width


@pytest.mark.parametrize(
    ("recipe", "letters", "own", "cross"),
    [("design", "kv", 1, 1), ("paper", "qv", 1, 1), ("released", "q", 1, 0), ("all", "qkv", 1, 1)],
)
def test_published_shapes_train_exactly_these_attentions(
    published: tuple[Any, int], recipe: str, letters: str, own: int, cross: int
) -> None:
    model, width = published
    blocks = [f"language_model.encoder.block.{n}.layer.0.SelfAttention" for n in range(24)]
    blocks += [f"language_model.decoder.block.{n}.layer.0.SelfAttention" for n in range(24)]
    if cross:
        blocks += [f"language_model.decoder.block.{n}.layer.1.EncDecAttention" for n in range(24)]
    names = select_trainable(model, recipe)
    assert set(names) == PROJECTION | attention(letters, blocks)
    learning = [value for value in model.parameters() if value.requires_grad]
    # Heads times 64 is the width: every projection is square.
    expected = len(letters) * (48 + 24 * cross) * width**2 + (768 + 1) * width
    assert sum(value.numel() for value in learning) == expected
    known = {("design", 2048): 605_554_688, ("released", 2048): 202_901_504}
    assert known.get((recipe, width), expected) == expected


def test_published_shapes_train_the_whole_qformer_in_stage_one(published: tuple[Any, int]) -> None:
    model, width = published
    names = select_trainable(model, "stage1")
    hidden, inner, vision = 768, 3072, 1408
    linear = hidden * hidden + hidden
    itself = 4 * linear + 2 * hidden
    across = 2 * linear + 2 * (vision * hidden + hidden) + 2 * hidden
    forward = hidden * inner + inner + inner * hidden + hidden + 2 * hidden
    qformer = 12 * (itself + forward) + 6 * across + 2 * hidden  # every second layer looks across
    learning = [value for value in model.parameters() if value.requires_grad]
    expected = 32 * hidden + qformer + (hidden + 1) * width
    assert sum(value.numel() for value in learning) == expected
    assert len(names) == 1 + 2 + 2 + 12 * (10 + 6) + 6 * 10


def test_lora_trains_the_projection_and_two_thin_matrices_a_target() -> None:
    with torch.device("meta"):
        model: Any = Blip2ForConditionalGeneration(tiny_flan())
        names = select_trainable(model, "design", Lora(rank=2, alpha=4.0))
    blocks = [f"language_model.{half}.block.0.layer.0.SelfAttention" for half in SIDES]
    blocks.append("language_model.decoder.block.0.layer.1.EncDecAttention")
    adapters = {
        f"{block}.{letter}.lora_{part}.default.weight"
        for block in blocks for letter in "kv" for part in "AB"
    }  # fmt: skip
    assert set(names) == PROJECTION | adapters
    learning = {name for name, value in model.named_parameters() if value.requires_grad}
    assert learning == set(names)
    shapes = {tuple(value.shape) for name, value in model.named_parameters() if name in adapters}
    assert shapes == {(2, 16), (8, 2)}


PROXIES = [4, 5, 6]


def test_embeddings_of_single_tokens_learn_beside_a_frozen_table() -> None:
    torch.manual_seed(0)
    model: Any = Blip2ForConditionalGeneration(tiny_flan())
    plain = set(select_trainable(model, "design"))
    ids = torch.tensor([[4, 9, 5, 1]])
    before = model.get_input_embeddings()(ids)
    names = select_trainable(model, "design", tokens=PROXIES)
    assert set(names) == plain | {ROWS}
    assert torch.equal(model.get_input_embeddings()(ids), before)
    rows = dict(model.named_parameters())[ROWS]
    assert tuple(rows.shape) == (3, before.shape[-1])
    with torch.no_grad():
        rows += 1
    after = model.get_input_embeddings()(ids)
    torch.testing.assert_close(after[0, [0, 2]], before[0, [0, 2]] + 1)
    assert torch.equal(after[0, [1, 3]], before[0, [1, 3]])


@pytest.mark.parametrize("tokens", [[], PROXIES])
@pytest.mark.parametrize("lora", [None, Lora(rank=2, alpha=4.0)])
def test_training_leaves_the_frozen_rest_as_it_was_to_the_last_bit(
    lora: Lora | None, tokens: list[int]
) -> None:
    torch.manual_seed(0)
    model: Any = Blip2ForConditionalGeneration(tiny_flan())
    names = select_trainable(model, "design", lora, tokens)
    set_modes(model)
    before = {name: value.detach().clone() for name, value in model.named_parameters()}
    optimizer = torch.optim.AdamW(
        [value for value in model.parameters() if value.requires_grad], lr=1e-2
    )
    ids = torch.tensor([[4, 3, 3, 3, 3, 5, 9, 1]])
    for _ in range(3):
        pixels = torch.randn(1, 3, 64, 64)
        model(pixel_values=pixels, input_ids=ids, labels=torch.tensor([[7, 1]])).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    moved = {
        name for name, value in model.named_parameters() if not torch.equal(value, before[name])
    }
    assert moved == set(names)


SIDES = ("encoder", "decoder")


def tiny_flan() -> Blip2Config:
    """One layer of everything."""
    part = {"hidden_size": 16, "intermediate_size": 32, "num_attention_heads": 2}
    text = {
        "model_type": "t5", "d_model": 16, "d_kv": 4, "d_ff": 32, "num_layers": 1, "num_heads": 2,
        "vocab_size": 50, "feed_forward_proj": "gated-gelu", "tie_word_embeddings": False,
        "decoder_start_token_id": 0,
    }  # fmt: skip
    return Blip2Config(
        vision_config=part | {"num_hidden_layers": 1, "image_size": 64, "patch_size": 32},
        qformer_config=part | {"num_hidden_layers": 1, "encoder_hidden_size": 16},
        text_config=text,
        num_query_tokens=4,
        image_token_index=3,
    )
