"""T5's activation as one operator: transformers writes its GELU out in eight passes over memory."""

from torch import nn


def fuse_activations(model: nn.Module) -> None:
    """Replace T5's GELUs (tanh approximation) by torch's own, which differ from them by rounding.

    They hold no weights: names and checkpoints stay as they are.
    """
    from transformers.activations import NewGELUActivation

    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, NewGELUActivation):
                setattr(parent, name, nn.GELU(approximate="tanh"))
