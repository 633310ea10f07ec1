"""Operators in one piece: the same function, the same names."""

import pytest
import torch
from transformers import Blip2ForConditionalGeneration
from transformers.activations import NewGELUActivation
from transformers.models.t5.modeling_t5 import T5Attention, T5LayerNorm

from mmicl.model.attention import SharedBiasAttention
from mmicl.model.loading import load_model
from mmicl.model.tiny import BACKBONES


def test_a_loaded_model_computes_what_transformers_does() -> None:
    plain = Blip2ForConditionalGeneration.from_pretrained(BACKBONES / "tiny", dtype=torch.float32)
    plain.eval()
    model, processor = load_model("builtin:tiny")
    assert not any(isinstance(part, NewGELUActivation) for part in model.modules())
    assert any(isinstance(part, NewGELUActivation) for part in plain.modules())
    assert list(model.state_dict()) == list(plain.state_dict())
    ids = torch.tensor(processor.encode(["Which shape is red?"], [0]))
    with torch.inference_mode():
        found = [
            one.language_model(input_ids=ids, decoder_input_ids=ids).logits
            for one in (model, plain)
        ]
    torch.testing.assert_close(found[0], found[1], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("gpu", [False, True])
def test_attention_and_norms_are_fused_on_a_gpu_alone(
    monkeypatch: pytest.MonkeyPatch, gpu: bool
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)
    model, _ = load_model("builtin:tiny")
    kinds = {type(part) for part in model.modules()}
    assert (T5Attention in kinds) is (T5LayerNorm in kinds) is not gpu
    assert (SharedBiasAttention in kinds) is gpu
