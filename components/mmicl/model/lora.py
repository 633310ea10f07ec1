"""Adapters by peft: low-rank ones beside weights (LoRA, arXiv 2106.09685), and rows of a table.

While it trains, a model holds adapters next to the projections, or rows of its embedding table that
learn while the table stays as it is; trained adapters are saved alone, and merged when they are
loaded over a base, so that what is asked or exported is a plain BLIP-2.
"""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from mmicl.config import Lora

if TYPE_CHECKING:
    from transformers import Blip2ForConditionalGeneration

_NAME = "default"
_PARTS = (f".lora_A.{_NAME}.weight", f".lora_B.{_NAME}.weight")
_TABLE = "language_model.shared"
ROWS = f"{_TABLE}.trainable_tokens_delta.{_NAME}"
"""Name of the parameter that holds the embeddings of tokens that learn."""


def is_adapter(name: str) -> bool:
    """Is this the name of an adapter's parameter?"""
    return name.endswith(_PARTS) or name == ROWS


def add_adapters(
    model: "Blip2ForConditionalGeneration", weights: Iterable[str], lora: Lora
) -> list[str]:
    """Put adapters beside Linear layers; they change nothing until they are trained.

    Args:
        model: Afterwards its named layers hold their weight as `base_layer.weight`.
        weights: Names of the layers' weights.
        lora: Rank and scale.

    Returns:
        The names of the adapters' parameters, sorted.
    """
    from peft import LoraConfig

    layers = sorted(name.removesuffix(".weight") for name in weights)
    settings = LoraConfig(r=lora.rank, lora_alpha=lora.alpha, target_modules=layers)  # type: ignore[arg-type]
    _inject(settings, model)
    return sorted(layer + part for layer in layers for part in _PARTS)


def add_rows(model: "Blip2ForConditionalGeneration", tokens: Sequence[int]) -> str:
    """Let the embeddings of some tokens learn, beside a table that stays as it is.

    Args:
        model: Afterwards its table is `base_layer` of what looks tokens up.
        tokens: Their ids.

    Returns:
        The name of their parameter, [tokens, width].

    Raises:
        IndexError: The table has no row of an id.
    """
    from peft import TrainableTokensConfig

    _inject(TrainableTokensConfig(token_indices=list(tokens), target_modules=[_TABLE]), model)
    return ROWS


def _inject(settings: Any, model: "Blip2ForConditionalGeneration") -> None:
    from peft import inject_adapter_in_model

    inject_adapter_in_model(settings, model, adapter_name=_NAME)  # type: ignore[arg-type]
    holder: Any = model
    del holder.peft_config  # or the next kind of adapter would take it for its own


def adapted_layers(names: Iterable[str]) -> list[str]:
    """Names of the layers' weights beside which adapters of these names lie."""
    layers = {name.removesuffix(part) for name in names for part in _PARTS if name.endswith(part)}
    return sorted(f"{layer}.weight" for layer in layers)


def merge_adapters(model: "Blip2ForConditionalGeneration") -> None:
    """Add adapters to the weights that they lie beside, and take them out of the model."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    for name, layer in list(model.named_modules()):
        if isinstance(layer, BaseTunerLayer):
            layer.merge()
            parent, _, own = name.rpartition(".")
            setattr(model.get_submodule(parent), own, layer.get_base_layer())
