"""InstructBLIP checkpoints as BLIP-2 models.

MMICL feeds no instruction to the Q-Former, not even with InstructBLIP weights (every script of the
released code switches it off). Without text, InstructBLIP's Q-Former computes what BLIP-2's does:
the same query path; its word embeddings and the feed-forward layers of the text path are not used,
and are left out here.
"""

import re
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from transformers import Blip2ForConditionalGeneration, InstructBlipForConditionalGeneration

MODEL_TYPE = "instructblip"
_TEXT_PATH = re.compile(
    r"qformer\.(embeddings\.(word|position)_embeddings|encoder\.layer\.\d+\.(intermediate|output))\."
)
_RENAMED = ("qformer.embeddings.layernorm.", "qformer.layernorm.")


def load_instructblip(
    place: str, *, dtype: torch.dtype, **options: Any
) -> "Blip2ForConditionalGeneration":
    """Load an InstructBLIP folder or hub id, and convert it."""
    from transformers import InstructBlipForConditionalGeneration

    loaded = InstructBlipForConditionalGeneration.from_pretrained(place, dtype=dtype, **options)
    return convert_instructblip(loaded)


def convert_instructblip(
    source: "InstructBlipForConditionalGeneration",
) -> "Blip2ForConditionalGeneration":
    """A BLIP-2 model with the weights of an InstructBLIP model, which it shares."""
    from transformers import Blip2Config, Blip2ForConditionalGeneration

    shapes: Any = source.config.to_dict()
    config = Blip2Config(
        vision_config=_without_type(shapes["vision_config"]),
        qformer_config=_without_type(shapes["qformer_config"]) | {"use_qformer_text_input": False},
        text_config=shapes["text_config"],
        num_query_tokens=shapes["num_query_tokens"],
        image_token_index=shapes["image_token_index"],
    )
    with torch.device("meta"):
        target = Blip2ForConditionalGeneration(config)
    weights = {
        name.replace(*_RENAMED): value
        for name, value in source.state_dict().items()
        if not _TEXT_PATH.match(name)
    }
    target.load_state_dict(weights, strict=True, assign=True)
    target.tie_weights()
    target.generation_config = source.generation_config
    return target.eval()


def _without_type(values: dict[str, Any]) -> dict[str, Any]:
    """A sub-config without the name of its class."""
    return {name: value for name, value in values.items() if name != "model_type"}
