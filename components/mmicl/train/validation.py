"""The loss over samples held out: the best weights so far, and when to stop."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
import torch.distributed as dist
from safetensors.torch import save_file

from mmicl.config import Validation
from mmicl.files import replace_file
from mmicl.train.engine import blip2_of, set_training

if TYPE_CHECKING:
    from deepspeed import DeepSpeedEngine

    from mmicl.train.batches import BatchMaker
    from mmicl.train.engine import LossModel

BEST, LAST = "best.safetensors", "last.safetensors"
"""The weights of the lowest loss, in the run folder and in each checkpoint (one file on disk), and
those of the last step, in the run folder; the stage hands on the ones that `keep` says."""


@dataclass
class Validator:
    """What a run knows of its validations; the same on every rank.

    Args:
        batches: Of the samples held out, which all ranks share.
        settings: When to validate, and what follows.
        size: Samples a batch.
        best_step: Steps done at the lowest loss; None before the first validation.
        best_loss: That loss.
        waited: Validations since then.
        last_loss: Of the newest validation.
    """

    batches: "BatchMaker"
    settings: Validation
    size: int
    best_step: int | None = None
    best_loss: float | None = None
    waited: int = 0
    last_loss: float | None = None

    @torch.no_grad()
    def measure(self, engine: "DeepSpeedEngine") -> float:
        """The mean loss of a target token over all samples, in nats."""
        set_training(engine, False)
        loss_model = cast("LossModel", engine.module)
        device = next(blip2_of(engine).parameters()).device
        total = torch.zeros((), dtype=torch.float64, device=device)
        tokens = 0
        for start in range(0, len(self.batches.samples), self.size):
            end = min(start + self.size, len(self.batches.samples))
            batch = self.batches.make(range(start, end))
            tokens += batch.target_tokens
            for micro in batch.micro_batches:
                total += loss_model(micro.to(device)).double().sum()
        set_training(engine, True)
        dist.all_reduce(total)
        return float(total) / tokens

    def note(self, step: int, loss: float) -> bool:
        """Remember a validation's loss; says whether it is the lowest so far.

        A loss that is not a number is never the lowest.
        """
        self.last_loss = loss
        if loss < (float("inf") if self.best_loss is None else self.best_loss):
            self.best_step, self.best_loss, self.waited = step, loss, 0
            return True
        self.waited += 1
        return False

    @property
    def exhausted(self) -> bool:
        """Whether the loss has not fallen for as long as the run is patient."""
        patience = self.settings.patience
        return patience is not None and self.waited >= patience

    @property
    def has_best(self) -> bool:
        """Whether there are weights of a lowest loss."""
        return self.best_step is not None

    @property
    def hands_on_best(self) -> bool:
        """Whether the stage hands on the weights of the lowest loss."""
        return self.settings.keep == "best" and self.has_best

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        names = ("best_step", "best_loss", "waited", "last_loss")
        return {name: getattr(self, name) for name in names}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what `state` gave."""
        for name, value in state.items():
            setattr(self, name, value)


def save_weights(path: Path, tensors: dict[str, torch.Tensor]) -> None:
    """Write trained weights, BEST or LAST of a run folder."""
    with replace_file(path) as temporary:
        save_file(tensors, temporary)


def link_best(source: Path, target: Path) -> None:
    """Give the best weights of one folder to another, without a copy.

    A checkpoint has its own name for the file: a run that goes on from it finds the best of then,
    not one that a later step wrote before the run was cut off.
    """
    (target / BEST).unlink(missing_ok=True)
    os.link(source / BEST, target / BEST)
