"""InstructBLIP checkpoints as BLIP-2 models, or with the text path of their Q-Former.

MMICL feeds no instruction to the Q-Former, not even with InstructBLIP weights (every script of the
released code switches it off). Without text, InstructBLIP's Q-Former computes what BLIP-2's does:
the same query path; its word embeddings and the feed-forward layers of the text path are not used,
and are left out here. `model.instruct_qformer` keeps them: that is InstructBLIP's own protocol, and
what a comparison with its published figures needs.
"""

import copy
import re
from typing import TYPE_CHECKING, Any

import torch

from mmicl.model.checkpoint import read_checkpoint

if TYPE_CHECKING:
    from transformers import Blip2ForConditionalGeneration, InstructBlipForConditionalGeneration

MODEL_TYPE = "instructblip"
_TEXT_PATH = re.compile(
    r"qformer\.(embeddings\.(word|position)_embeddings|encoder\.layer\.\d+\.(intermediate|output))\."
)
_RENAMED = ("qformer.embeddings.layernorm.", "qformer.layernorm.")


def load_instructblip(place: str, *, dtype: torch.dtype, instruct: bool, **options: Any) -> Any:
    """Load an InstructBLIP or released MMICL checkpoint.

    Args:
        place: A folder in the hub's layout, or a hub id.
        dtype: Of the weights in memory.
        instruct: Whether its Q-Former is to read instructions; else the model is converted.
        options: Of `from_pretrained`.

    Returns:
        An `InstructBlipForConditionalGeneration`, or a `Blip2ForConditionalGeneration`.

    Raises:
        UserError: As `read_checkpoint`.
    """
    from transformers import InstructBlipForConditionalGeneration

    if instruct:
        return read_checkpoint(InstructBlipForConditionalGeneration, place, dtype=dtype, **options)
    # The Q-Former's word embeddings may have any number of rows: the released code resizes them to
    # the Q-Former tokenizer's, and config.json does not always say so.
    return convert_instructblip(
        read_checkpoint(
            InstructBlipForConditionalGeneration,
            place,
            dtype=dtype,
            unused=_TEXT_PATH,
            **options,
        )
    )


def convert_instructblip(
    source: "InstructBlipForConditionalGeneration",
) -> "Blip2ForConditionalGeneration":
    """A BLIP-2 model with the weights of an InstructBLIP model, which it shares."""
    from transformers import Blip2Config, Blip2ForConditionalGeneration

    shapes: Any = source.config.to_dict()
    # Built from its dictionary, T5's config would forget that FLAN-T5 does not scale its outputs.
    text_config = copy.deepcopy(source.config.text_config)
    config = Blip2Config(
        vision_config=_without_type(shapes["vision_config"]),
        qformer_config=_without_type(shapes["qformer_config"]) | {"use_qformer_text_input": False},
        text_config=text_config,
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
    # Not `tie_weights`: it would put the embeddings over FLAN-T5's head of its own.
    target.language_model = source.language_model
    target.generation_config = source.generation_config
    return target.eval()


def _without_type(values: dict[str, Any]) -> dict[str, Any]:
    """A sub-config without the name of its class."""
    return {name: value for name, value in values.items() if name != "model_type"}
