"""The weights of a checkpoint, with every key accounted for.

Safetensors, whole or in shards, where the folder has them; otherwise `pytorch_model*.bin`, as the
released MMICL checkpoints are, by torch's reader that makes tensors and nothing else.
"""

import re
from typing import TYPE_CHECKING, Any

from mmicl.errors import UserError

if TYPE_CHECKING:
    import torch

_OLD_BUFFERS = re.compile(r".*\.position_ids")
"""Counters 0, 1, 2, … that older versions of transformers saved beside the weights."""
SHOWN = 3


def read_checkpoint(
    model_class: Any,
    place: str,
    *,
    dtype: "torch.dtype",
    unused: re.Pattern[str] | None = None,
    **options: Any,
) -> Any:
    """A transformers model with a checkpoint's weights.

    Args:
        model_class: The class whose layout the checkpoint has.
        place: Folder or hub id.
        dtype: Of the weights in memory.
        unused: Names of weights that the caller does not use: they may be absent, or of any shape.
        options: Of `from_pretrained`.

    Raises:
        UserError: The checkpoint lacks a weight, has one that the model does not know, or one of
            another shape; names it.
        OSError, ValueError: As transformers' own, for files that are missing or damaged.
    """
    model, found = model_class.from_pretrained(
        place,
        dtype=dtype,
        weights_only=True,
        ignore_mismatched_sizes=True,
        output_loading_info=True,
        **options,
    )

    def matters(name: str) -> bool:
        return not (unused and unused.match(name)) and not _OLD_BUFFERS.fullmatch(name)

    shapes = {name: rest for name, *rest in found["mismatched_keys"]}
    problems = {
        "lacks": found["missing_keys"],
        "does not know": found["unexpected_keys"],
        "has another shape for": shapes,
    }
    for what, names in problems.items():
        if wrong := sorted(filter(matters, names)):
            shown = ", ".join(wrong[:SHOWN])
            more = f" and {len(wrong) - SHOWN} more" if len(wrong) > SHOWN else ""
            who = "the checkpoint" if what == "lacks" else f"{model_class.__name__}"
            raise UserError(
                f"{who} {what} {shown}{more}",
                where=place,
                remedy="config.json and weights must be of one model",
            )
    return model
