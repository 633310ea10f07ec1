"""An InstructBLIP checkpoint without instruction to its Q-Former is a BLIP-2 model."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import (
    InstructBlipConfig,
    InstructBlipForConditionalGeneration,
    InstructBlipQFormerConfig,
    InstructBlipVisionConfig,
)

from mmicl.model.instructblip import convert_instructblip
from mmicl.model.loading import load_model, locate_base
from mmicl.model.tiny import build_config

BUILTIN = Path(locate_base("builtin:tiny"))


@pytest.fixture
def instructblip() -> Any:
    tiny: Any = build_config()
    config = InstructBlipConfig(
        vision_config=InstructBlipVisionConfig(
            hidden_size=128,
            intermediate_size=256,
            num_hidden_layers=2,
            num_attention_heads=4,
            image_size=64,
            patch_size=8,
            initializer_range=0.02,
        ),
        qformer_config=InstructBlipQFormerConfig(
            vocab_size=50,
            hidden_size=128,
            intermediate_size=256,
            num_hidden_layers=4,
            num_attention_heads=4,
        ),
        text_config=tiny.text_config,
        num_query_tokens=8,
        image_token_index=tiny.image_token_index,
    )
    torch.manual_seed(0)
    model = InstructBlipForConditionalGeneration(config)
    torch.nn.init.normal_(model.query_tokens, std=0.02)
    return model.eval()


@torch.no_grad()
def test_features_and_answers_are_those_of_the_text_free_qformer(instructblip: Any) -> None:
    model: Any = convert_instructblip(instructblip)
    pixels = torch.randn(3, 3, 64, 64)
    states = instructblip.vision_model(pixels).last_hidden_state
    expected = instructblip.qformer(
        input_ids=None,
        query_embeds=instructblip.query_tokens.expand(3, -1, -1),
        encoder_hidden_states=states,
    ).last_hidden_state
    found = model.get_image_features(pixels).qformer_outputs.last_hidden_state
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
    projected = instructblip.language_projection(expected)
    torch.testing.assert_close(model.language_projection(found), projected, atol=1e-5, rtol=0)
    ids, start = torch.tensor([[30, 40, 50, 1]]), torch.zeros(1, 1, dtype=torch.long)
    logits = [
        each.language_model(input_ids=ids, decoder_input_ids=start).logits
        for each in (instructblip, model)
    ]
    assert torch.equal(*logits)


def test_a_folder_of_instructblip_loads_as_a_base(instructblip: Any, tmp_path: Path) -> None:
    instructblip.save_pretrained(tmp_path)
    for name in ("tokenizer.json", "tokenizer_config.json", "preprocessor_config.json"):
        (tmp_path / name).write_bytes((BUILTIN / name).read_bytes())
    model, processor = load_model(str(tmp_path))
    assert model.config.model_type == "blip-2"
    assert not any("word_embeddings" in name for name, _ in model.named_parameters())
    assert processor.num_query_tokens == 8
    for name, value in model.language_model.state_dict().items():
        assert torch.equal(value, instructblip.language_model.state_dict()[name]), name
