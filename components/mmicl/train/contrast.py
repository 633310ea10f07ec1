"""Image-text contrast of stage I: which of a batch's captions is an image's own.

An option beside the caption loss (`pretrain.contrastive`), after the first of BLIP-2's three losses
(arXiv 2301.12597, section 3.1). BLIP-2 holds the queries against a text branch of its Q-Former,
which its checkpoints for generation, and MMICL's, do not have. What stage I is for is that T5 can
read the queries, so here they are held against T5's own frozen word embeddings.

An image chooses among all captions of the global batch. Every rank knows these, and their
embeddings do not learn: the loss needs no other rank, and is the same for any number of ranks and
any micro-batches. (BLIP-2's other direction, a caption's choice among images, would not be.)
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from mmicl.errors import DataError
from mmicl.model.processor import IGNORED

if TYPE_CHECKING:
    from mmicl.records import Sample

TEMPERATURE = 0.1


@dataclass(frozen=True)
class Contrast:
    """What the images of a micro-batch choose among."""

    captions: torch.Tensor
    """Labels of all captions of the global batch, [samples, tokens]."""
    own: torch.Tensor
    """[rows]: each row's own caption."""
    choices: torch.Tensor
    """[rows, samples]: that caption, and those of other images that say something else."""
    weights: torch.Tensor
    """[rows]: of a row's loss; 0 for rows without weight."""


@dataclass(frozen=True)
class Captions:
    """All captions of a global batch.

    Args:
        rows: Its samples, of one image each.
        labels: Of their targets, [samples, tokens].
        weight: Of the mean over samples beside the caption loss, a mean over target tokens.

    Raises:
        DataError: A sample has not exactly one image.
    """

    rows: "Sequence[Sample]"
    labels: torch.Tensor
    weight: float

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row.images) != 1:
                raise DataError(
                    f"{len(row.images)} images, not one", where=row.id,
                    remedy="set pretrain.contrastive to 0",
                )  # fmt: skip

    @cached_property
    def choices(self) -> torch.Tensor:
        """[samples, samples]: what each image chooses among.

        A caption that says the same, or another one of the same image, is no wrong choice.
        """
        images, texts = [row.images[0] for row in self.rows], [row.target for row in self.rows]
        apart = [
            [image != other and text != said for other, said in zip(images, texts, strict=True)]
            for image, text in zip(images, texts, strict=True)
        ]
        return torch.tensor(apart) | torch.eye(len(apart), dtype=torch.bool)

    def share_out(self, chunk: Sequence[int | None], places: Sequence[int]) -> Contrast:
        """The part of a micro-batch, of rows at `places`; None in `chunk` weighs nothing."""
        # The loop divides all losses by the batch's target tokens.
        each = self.weight * int((self.labels != IGNORED).sum()) / len(self.rows)
        return Contrast(
            captions=self.labels,
            own=torch.tensor(places),
            choices=self.choices[places],
            weights=torch.tensor([0.0 if place is None else each for place in chunk]),
        )


def find_contrast_loss(
    contrast: Contrast, projected: torch.Tensor, embeddings: torch.nn.Module
) -> torch.Tensor:
    """Weighted cross-entropy of each image's choice, float32 [rows].

    Args:
        contrast: What there is to choose among.
        projected: The images as the language model takes them, [rows, queries, width].
        embeddings: The language model's.
    """
    told = contrast.captions != IGNORED
    words = embeddings(contrast.captions.clamp(min=0)).float() * told[..., None]
    texts = words.sum(dim=1) / told.sum(dim=1, keepdim=True)
    # What all captions share ("a", the end) tells none from another.
    texts = functional.normalize(texts - texts.mean(dim=0), dim=1)
    images = functional.normalize(projected.float().mean(dim=1), dim=1)
    scores = (images @ texts.T / TEMPERATURE).masked_fill(~contrast.choices, -torch.inf)
    losses = functional.cross_entropy(scores, contrast.own, reduction="none")
    return losses * contrast.weights
