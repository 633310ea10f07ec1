"""T5 with shared bias and fused norms computes, and learns, what transformers' eager T5 does."""

import copy
from typing import Any

import pytest
import torch
from torch._dynamo.utils import counters
from transformers import T5Config, T5ForConditionalGeneration
from transformers.models.t5.modeling_t5 import T5Attention, T5LayerNorm

from mmicl.model.attention import ALIGNMENT, SharedBiasAttention
from mmicl.model.fused import compile_feed_forward, fuse_activations, fuse_for_gpu

TOLERANCE: Any = {"atol": 1e-5, "rtol": 1e-5}
LENGTHS = (11, 4, 7)
TARGETS = 5


def make_t5(seed: int = 0) -> Any:
    """A small T5 whose attention really depends on the relative positions."""
    torch.manual_seed(seed)
    shapes: Any = {
        "vocab_size": 50, "d_model": 16, "d_kv": 4, "d_ff": 24, "num_layers": 3, "num_heads": 4,
        "dropout_rate": 0.0, "feed_forward_proj": "gated-gelu", "tie_word_embeddings": False,
        "attn_implementation": "eager", "decoder_start_token_id": 0,
    }  # fmt: skip
    model = T5ForConditionalGeneration(T5Config(**shapes))
    for name, value in model.named_parameters():
        torch.nn.init.normal_(value, std=1.0 if "relative" in name else 0.2)
    return model


def make_inputs(lengths: tuple[int, ...]) -> dict[str, torch.Tensor]:
    """Embedded prompts of these lengths, padded, and targets."""
    torch.manual_seed(1)
    mask = torch.zeros(len(lengths), max(lengths), dtype=torch.long)
    for row, length in enumerate(lengths):
        mask[row, :length] = 1
    return {
        "inputs_embeds": torch.randn(*mask.shape, 16),
        "attention_mask": mask,
        "decoder_input_ids": torch.randint(1, 50, (len(lengths), TARGETS)),
    }


def pass_both_ways(model: Any, inputs: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Encoder states, logits, and the gradients of inputs and of everything that learns."""
    leaf = inputs["inputs_embeds"].clone().requires_grad_()
    model.zero_grad()
    output = model(**{**inputs, "inputs_embeds": leaf})
    output.logits.square().sum().backward()
    found = {"logits": output.logits.detach(), "inputs": leaf.grad}
    states = output.encoder_last_hidden_state.detach()
    found["states"] = states[inputs["attention_mask"].bool()]
    for name, value in model.named_parameters():
        if value.grad is not None:
            found[name] = value.grad.clone()
    return found


@pytest.mark.parametrize("lengths", [LENGTHS, (9, 9)], ids=["padded", "whole"])
@pytest.mark.parametrize("implementation", ["eager", "sdpa"])
def test_states_logits_and_gradients_are_those_of_eager_attention(
    lengths: tuple[int, ...], implementation: str
) -> None:
    plain = make_t5()
    inputs = make_inputs(lengths)
    expected = pass_both_ways(plain, inputs)
    fused = copy.deepcopy(plain)
    fused.set_attn_implementation(implementation)  # decides in which form masks come
    fuse_for_gpu(fused)
    fuse_activations(fused)
    assert not any(type(part) in (T5Attention, T5LayerNorm) for part in fused.modules())
    assert list(fused.state_dict()) == list(plain.state_dict())
    found = pass_both_ways(fused, inputs)
    assert found.keys() == expected.keys()
    assert "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight" in found
    for name, value in expected.items():
        torch.testing.assert_close(
            found[name], value, **TOLERANCE, msg=lambda text, n=name: n + text
        )


def test_a_frozen_bias_takes_no_gradient() -> None:
    model = make_t5()
    for name, value in model.named_parameters():
        value.requires_grad_(name.endswith((".k.weight", ".v.weight")))
    plain = pass_both_ways(model, make_inputs(LENGTHS))
    fuse_for_gpu(model)
    found = pass_both_ways(model, make_inputs(LENGTHS))
    assert found.keys() == plain.keys()
    assert not any("relative" in name for name in found)
    for name, value in plain.items():
        torch.testing.assert_close(found[name], value, **TOLERANCE)


def test_layers_share_one_bias_whose_rows_the_kernel_takes_as_they_are() -> None:
    model = make_t5()
    fuse_for_gpu(model)
    given: list[torch.Tensor] = []
    for block in model.encoder.block:
        block.layer[0].SelfAttention.register_forward_hook(
            lambda module, arguments, output: given.append(output[1])
        )
    inputs = make_inputs(LENGTHS)
    del inputs["decoder_input_ids"]
    model.encoder(inputs_embeds=inputs["inputs_embeds"], attention_mask=inputs["attention_mask"])
    assert len(given) == 3
    assert all(bias is given[0] for bias in given)
    assert given[0].shape == (3, 4, 11, 11)
    assert all(stride % ALIGNMENT == 0 for stride in given[0].stride()[:-1])


def test_a_pass_without_generating_makes_no_cache() -> None:
    model = make_t5()
    assert model(**make_inputs(LENGTHS)).past_key_values is not None
    fuse_for_gpu(model)
    assert model(**make_inputs(LENGTHS)).past_key_values is None
    assert model.config.use_cache  # what a checkpoint says


def test_answers_are_generated_with_transformers_own_attention() -> None:
    plain = make_t5().eval()
    fused = copy.deepcopy(plain)
    fuse_for_gpu(fused)
    inputs = make_inputs(LENGTHS)
    del inputs["decoder_input_ids"]
    answers = [
        model.generate(**inputs, max_new_tokens=6, do_sample=False, num_beams=1)
        for model in (plain, fused)
    ]
    assert torch.equal(*answers)
    assert any(isinstance(part, SharedBiasAttention) for part in fused.modules())


def test_attention_draws_dropout_only_while_training() -> None:
    model = make_t5()
    for part in model.modules():
        if isinstance(part, T5Attention):
            part.dropout = 0.5
    fuse_for_gpu(model)
    inputs = make_inputs(LENGTHS)
    with torch.no_grad():
        first, second = (model(**inputs).logits for _ in range(2))
        assert not torch.equal(first, second)
        model.eval()
        first, second = (model(**inputs).logits for _ in range(2))
        assert torch.equal(first, second)


def test_compiled_layers_compute_the_same_and_one_graph_serves_all() -> None:
    plain = make_t5()
    compiled = copy.deepcopy(plain)
    fuse_for_gpu(compiled)
    torch.compiler.reset()
    counters.clear()
    compile_feed_forward(compiled, backend="aot_eager")  # the graph, without a compiler's minute
    for lengths in (LENGTHS, (9, 9), (3, 5, 6, 6)):
        expected = pass_both_ways(plain, make_inputs(lengths))
        found = pass_both_ways(compiled, make_inputs(lengths))
        for name, value in expected.items():
            torch.testing.assert_close(found[name], value, **TOLERANCE)
    assert counters["stats"]["unique_graphs"] == 1
    assert not counters["graph_break"]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu_in_bf16_states_and_gradients_are_those_of_float32_to_rounding() -> None:
    plain = make_t5().cuda()
    inputs = {name: value.cuda() for name, value in make_inputs(LENGTHS).items()}
    expected = pass_both_ways(plain, inputs)
    errors = []
    for fused in (False, True):
        model = copy.deepcopy(plain).bfloat16()
        if fused:
            fuse_for_gpu(model)
        rounded = inputs | {"inputs_embeds": inputs["inputs_embeds"].bfloat16()}
        found = pass_both_ways(model, rounded)
        errors.append(
            max(
                float((found[name].float() - value).norm() / value.norm())
                for name, value in expected.items()
            )
        )
    assert errors[1] < 1.5 * errors[0]
