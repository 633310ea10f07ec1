"""What a backbone can do before stage I, and what an ideal projection would make of it.

The projection is fitted in closed form: ridge regression from the Q-Former's outputs to the word
embeddings of the descriptions. Stage I has no descriptions, so this is its ceiling, not a rival.
"""

import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from mmicl.model.features import encode_images
from mmicl.model.loading import load_model
from mmicl.records import Split, Template
from mmicl.train.tiny.language import Reader
from mmicl.train.tiny.reading import ReadingTask
from mmicl.train.tiny.vision import draw_picture, render_picture
from mmicl.world.description import Picture

if TYPE_CHECKING:
    from transformers import Blip2ForConditionalGeneration

    from mmicl.model.processor import MmiclProcessor

FITTED_ON = 1500
RIDGE = 1.0
IMAGES_AT_ONCE = 64


class Seer(Reader):
    """A model that reads its pictures through encoder, Q-Former and projection."""

    def __init__(self, model: "Blip2ForConditionalGeneration", processor: "MmiclProcessor") -> None:
        super().__init__(model, processor)
        self.model = model

    def fill_slots(self, pictures: Sequence[Picture]) -> Tensor:
        """Projected Q-Former outputs: [pictures x queries, width]."""
        return self.model.language_projection(self.encode_pictures(pictures)).flatten(0, 1)

    def encode_pictures(self, pictures: Sequence[Picture]) -> Tensor:
        """Q-Former outputs [pictures, queries, hidden]."""
        parts = [
            pictures[start : start + IMAGES_AT_ONCE]
            for start in range(0, len(pictures), IMAGES_AT_ONCE)
        ]
        return torch.cat(
            [
                encode_images(
                    self.model, self.processor.pixels([render_picture(it) for it in part])
                )
                for part in parts
            ]
        )


def measure_backbone(
    folder: Path, bank: Mapping[str, Sequence[Template]], seed: int, count: int = 200
) -> tuple[dict[str, dict[str, float]], int]:
    """Exactly right answers in points, by skill: reading descriptions, and from pictures.

    Also the number of weights.

    Args:
        folder: The backbone.
        bank: Instructions by task.
        seed: Of the prompts.
        count: Prompts a skill and split; at 200, plus or minus 7 points.
    """
    model, processor = load_model(str(folder))
    reader, seer = Reader(model, processor), Seer(model, processor)
    measured: dict[str, dict[str, float]] = {}

    def measure(name: str, who: Reader, split: Split) -> None:
        task = ReadingTask(who, bank, seed=seed, steps=1, batch_size=1)
        measured[f"{name}/{split}"] = task.measure(split, count)

    measure("descriptions", reader, "train")
    measure("descriptions", reader, "test")
    measure("pictures, random projection", seer, "test")
    fit_projection(seer, seed)
    measure("pictures, fitted projection", seer, "train")
    measure("pictures, fitted projection", seer, "test")
    return measured, sum(value.numel() for value in model.parameters())


@torch.inference_mode()
def fit_projection(seer: Seer, seed: int) -> None:
    """Put the ridge solution over training pictures into the model's projection."""
    rng = random.Random(f"{seed}/fit")
    pictures = [draw_picture(rng, "train") for _ in range(FITTED_ON)]
    features = seer.encode_pictures(pictures).flatten(0, 1)
    wanted = Reader.fill_slots(seer, pictures)
    inputs = torch.cat([features, torch.ones(len(features), 1)], dim=1).double()
    gram = inputs.T @ inputs + RIDGE * torch.eye(inputs.shape[1], dtype=torch.double)
    solution = torch.linalg.solve(gram, inputs.T @ wanted.double()).float()
    projection = seer.model.language_projection
    projection.weight.copy_(solution[:-1].T)
    projection.bias.copy_(solution[-1])
