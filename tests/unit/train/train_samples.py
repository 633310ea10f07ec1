"""Samples with features of their own, so that a batch can be checked without a model."""

import torch

from mmicl.model.views import View
from mmicl.records import Sample

WORDS = ["a", "red", "circle", "is", "left", "of", "the", "small", "blue", "square"]


def make_samples(number: int, images: int = 2) -> list[Sample]:
    """Prompts and targets of different lengths; sample k has k % (images + 1) images."""
    rows = []
    for index in range(number):
        count = index % (images + 1)
        declared = " ".join(f"image {k} is <image{k}>图." for k in range(count))
        words = " ".join(WORDS[: index % len(WORDS) + 1])
        rows.append(
            Sample(
                id=f"toy/train/{index}",
                source=f"toy/train/{index}",
                dataset="toy",
                split="train",
                task="vqa",
                images=tuple(f"{index}-{k}" for k in range(count)),
                prompt=f"{declared} What is {words}?".strip(),
                target=words,
                template="t",
                group=str(index),
            )
        )
    return rows


def feature(view: View) -> torch.Tensor:
    """Features [8, 128] that tell which image they are of."""
    index, _, place = view.image.partition("-")
    return torch.full((8, 128), int(index) + 0.1 * int(place))


def sample(number: int, *, target: str, images: tuple[str, ...], prompt: str) -> Sample:
    """A row that says what it is told to."""
    name = f"toy/train/{number}"
    return Sample(
        id=name, source=name, dataset="toy", split="train", task="caption", images=images,
        prompt=prompt, target=target, template="t", group=str(number),
    )  # fmt: skip
