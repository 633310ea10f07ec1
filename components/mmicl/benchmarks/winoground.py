"""Winoground: two pictures, two captions of the same words; which belong together.

Asked as the authors of MMICL did (HaozheZhao/MIC, issue 19): one prompt shows both pictures and
both captions and asks about one pair; the four probabilities of yes make the official scores. The
model sees the alternatives, so this is not comparable with scoring each pair alone, as CLIP does.
"""

from collections.abc import Sequence

import numpy as np

from mmicl.benchmarks.benchmark import (
    Benchmark,
    Columns,
    Constant,
    Item,
    mean,
    yes_margin,
)
from mmicl.benchmarks.paper import list_published
from mmicl.benchmarks.scorers.winoground import image_correct, text_correct
from mmicl.records import Example


def judge(items: Sequence[Item]) -> Columns:
    """Text, image and group correctness of each item."""
    columns = {name: np.zeros(len(items)) for name in ("text", "image", "group")}
    for place, item in enumerate(items):
        c0i0, c0i1, c1i0, c1i1 = map(yes_margin, item.predictions)
        scores = [[c0i0, c0i1], [c1i0, c1i1]]
        text, image = text_correct(scores), image_correct(scores)
        for name, value in {"text": text, "image": image, "group": text and image}.items():
            columns[name][place] = value
    return {**columns, "n": np.ones(len(items))}


def guess(examples: Sequence[Example], _: Sequence[Example]) -> Columns:
    """Four independent scores: one comparison of two in 2, all four of them in 1 of 6 orders."""
    levels = {"text": 1 / 4, "image": 1 / 4, "group": 1 / 6, "n": 1.0}
    return {name: np.full(len(examples), level) for name, level in levels.items()}


WINOGROUND = Benchmark(
    name="winoground",
    version="winoground/four-questions",
    category="visual reasoning",
    task="winoground",
    kind="yes_probability",
    scorer="winoground",
    metrics={name: mean(name) for name in ("text", "image", "group")},
    headline=("text", "image", "group"),
    judge=judge,
    chance=guess,
    # No training split, and no constant answer tells four pairs apart: all scores tie, which the
    # official rule counts as wrong.
    constant=lambda _: Constant("yes", (0.0, 0.0)),
    licence="META IMAGES RESEARCH LICENSE; evaluation only",
    published=list_published("winoground"),
)
