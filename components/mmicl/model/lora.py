"""LoRA (arXiv 2106.09685) by peft: low-rank adapters beside weights that stay as they are.

While it trains, a model holds adapters next to the projections; trained adapters are saved alone,
and merged when they are loaded over a base, so that what is asked or exported is a plain BLIP-2.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from mmicl.config import Lora

if TYPE_CHECKING:
    from transformers import Blip2ForConditionalGeneration

_NAME = "default"
_PARTS = (f".lora_A.{_NAME}.weight", f".lora_B.{_NAME}.weight")


def is_adapter(name: str) -> bool:
    """Is this the name of an adapter's parameter?"""
    return name.endswith(_PARTS)


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
    from peft import LoraConfig, inject_adapter_in_model

    layers = sorted(name.removesuffix(".weight") for name in weights)
    settings = LoraConfig(r=lora.rank, lora_alpha=lora.alpha, target_modules=layers)  # type: ignore[arg-type]
    inject_adapter_in_model(settings, model, adapter_name=_NAME)  # type: ignore[arg-type]
    return sorted(layer + part for layer in layers for part in _PARTS)


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
    holder: Any = model
    del holder.peft_config
