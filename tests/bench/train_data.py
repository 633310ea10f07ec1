"""What the training benchmark trains on: drawn texts and pictures, read as a chain's own are."""

import io
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from mmicl.images.store import ImageStore, ImageWriter
from mmicl.model.views import View
from mmicl.records import ImageBox, Sample, crop_reference
from mmicl.train.batches import VisualLoader, load_pixels

if TYPE_CHECKING:
    from pathlib import Path

    from mmicl.model.processor import MmiclProcessor

MAX_IMAGES = 8
TEXT_TOKENS = {
    1: (13, 41), 2: (28, 79), 3: (36, 120), 4: (35, 76), 5: (60, 119), 6: (68, 119), 7: (72, 101),
    8: (80, 116),
}  # fmt: skip
"""Of a prompt without its images' tokens, by number of images: the 5th and the 95th percentile of
the 5,400 samples that the profile `tiny` builds for stage II; lengths are uniform between them."""
CAPTION_TOKENS = (11, 18)
"""The same of stage I's prompts, which have one image each."""
SHORT_TARGETS, LONG_TARGETS = (1, 3), (4, 16)
"""Words of a target. Seven of ten are short, as there: 4.4 tokens in the mean, 17 at the 95th
percentile."""
CAPTION_TARGETS = (9, 18)
WORDS = ["a", "the", "red", "blue", "green", "circle", "square", "ring", "cross", "star", "left"]
"""Each is one token."""
PICTURES = 48
"""Stored; images are crops of them, so that every one has to be decoded."""


def draw_samples(stage: str, references: list[str], number: int, seed: int = 0) -> list[Sample]:
    """Samples of a stage: one image and a caption, or 1 to 8 images (as many of each) and a task.

    Args:
        stage: `pretrain` or `finetune`.
        references: The images, drawn from at random.
        number: Of samples.
        seed: Of the draw.
    """
    draw = np.random.default_rng(seed)
    rows = []
    for index in range(number):
        images = 1 if stage == "pretrain" else 1 + index % MAX_IMAGES
        low, high = CAPTION_TOKENS if stage == "pretrain" else TEXT_TOKENS[images]
        declared = " ".join(f"image {k} is <image{k}>图." for k in range(images))
        spent = 5 * images + 1  # of a declaration, and the end token
        words = draw.choice(WORDS, max(1, int(draw.integers(low, high + 1)) - spent))
        short = draw.random() < 0.7
        span = SHORT_TARGETS if short else LONG_TARGETS
        if stage == "pretrain":
            span = CAPTION_TARGETS
        target = draw.choice(WORDS, int(draw.integers(span[0], span[1] + 1)))
        chosen = draw.choice(len(references), images)
        rows.append(
            Sample(
                id=f"drawn/train/{index}",
                source=f"drawn/train/{index}",
                dataset="drawn",
                split="train",
                task="vqa",
                images=tuple(references[place] for place in chosen),
                prompt=f"{declared} {' '.join(words)}",
                target=" ".join(target),
                template="drawn",
                group=str(index),
            )
        )
    return rows


def store_pictures(
    folder: "Path", size: tuple[int, int], number: int, seed: int = 0
) -> tuple[ImageStore, list[str]]:
    """A store of JPEG photos of a size, and references of so many crops of them."""
    draw = np.random.default_rng(seed)
    width, height = size
    with ImageWriter(folder) as writer:
        keys = [
            writer.add_bytes(_draw_jpeg(draw, size), f"picture {index}")
            for index in range(PICTURES)
        ]
    references: set[str] = set()
    while len(references) < number:
        left, top = int(draw.integers(0, width // 4)), int(draw.integers(0, height // 4))
        right, bottom = (
            int(draw.integers(width // 2, width)),
            int(draw.integers(height // 2, height)),
        )
        key = keys[int(draw.integers(PICTURES))]
        references.add(crop_reference(key, ImageBox(left, top, right, bottom)))
    return ImageStore([folder]), sorted(references)


def decode_all(
    references: list[str], images: ImageStore, processor: "MmiclProcessor", workers: int
) -> VisualLoader:
    """Pixels of images that lie decoded in memory, as the original keeps its data set."""
    with ThreadPoolExecutor(workers) as pool:
        decoded = list(pool.map(load_pixels(images, processor), map(View, references)))
    pixels = dict(zip(references, decoded, strict=True))
    return lambda view: pixels[view.image]


def _draw_jpeg(draw: np.random.Generator, size: tuple[int, int]) -> bytes:
    """A picture with coarse shapes and fine noise, about as hard to decode as a photo."""
    width, height = size
    coarse = Image.fromarray(draw.integers(0, 255, (12, 16, 3), dtype=np.uint8)).resize(size)
    noise = draw.integers(-20, 20, (height, width, 1))
    pixels = np.clip(np.asarray(coarse).astype(int) + noise, 0, 255).astype(np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=90)
    return stream.getvalue()
