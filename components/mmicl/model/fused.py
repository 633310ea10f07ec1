"""T5's operators in fewer passes over memory: the same functions over the same weights.

What differs is rounding. `fuse_activations` serves every device; `fuse_for_gpu` what pays on a GPU
alone, where elementary operations cost as much as T5's matrix products do.
"""

from typing import Any

from torch import Tensor, nn
from torch.nn import functional


def fuse_activations(model: nn.Module) -> None:
    """Replace T5's GELUs (tanh approximation) by torch's own, which differ from them by rounding.

    transformers writes the GELU out in eight passes. They hold no weights: names and checkpoints
    stay as they are.
    """
    from transformers.activations import NewGELUActivation

    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, NewGELUActivation):
                setattr(parent, name, nn.GELU(approximate="tanh"))


def fuse_for_gpu(model: nn.Module) -> None:
    """T5's attentions share bias and mask, its norms are one operator each, no mask is looked at.

    On a processor torch takes both apart again; the miniature keeps transformers' own.
    """
    from mmicl.model.attention import share_bias

    share_bias(model)
    fuse_norms(model)
    drop_picture_masks(model)


def fuse_norms(model: nn.Module) -> None:
    """Replace the forward pass of T5's norms by torch's RMSNorm."""
    from transformers.models.t5.modeling_t5 import T5LayerNorm

    class FusedNorm(T5LayerNorm):
        def forward(self, hidden_states: Tensor) -> Tensor:
            return functional.rms_norm(
                hidden_states, self.weight.shape, self.weight, self.variance_epsilon
            )

    for module in model.modules():
        if type(module) is T5LayerNorm:
            module.__class__ = FusedNorm


def drop_picture_masks(model: nn.Module) -> None:
    """Let BLIP-2's Q-Former see pictures without a mask, which hides nothing.

    transformers makes one for every batch and looks whether it does, for which a GPU has to end the
    encoder first.
    """
    from transformers.models.blip_2.modeling_blip_2 import Blip2QFormerModel

    class UnmaskedQFormer(Blip2QFormerModel):
        def forward(self, *arguments: Any, **kwargs: Any) -> Any:
            return super().forward(*arguments, **{**kwargs, "encoder_attention_mask": None})

    for module in model.modules():
        if type(module) is Blip2QFormerModel:
            module.__class__ = UnmaskedQFormer


def compile_feed_forward(model: nn.Module, backend: str = "inductor") -> None:
    """Let torch compile T5's feed-forward layers.

    Norm, gate with its dropout, and residual become one kernel each, around the matrix products.
    One graph serves all layers, and any number of rows and tokens. The first pass takes longer by
    some tens of seconds. Not for ZeRO 3, which gathers weights around every module. (Whole blocks
    make a graph for every way in which their masks may be absent, and take minutes.)
    """
    from transformers.models.t5.modeling_t5 import T5LayerFF

    for module in model.modules():
        if isinstance(module, T5LayerFF):
            module.compile(dynamic=True, backend=backend)
