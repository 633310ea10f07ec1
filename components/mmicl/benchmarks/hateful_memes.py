"""Hateful Memes: is a picture with words on it hateful; area under the ROC curve, and accuracy.

The area is the mean, over hateful memes, of the share of harmless ones that got a lower probability
of yes (ties count half), which is what scikit-learn computes. It is also the mean, over harmless
memes, of the share of hateful ones above. A resample adds what both means stray from it, so that
its interval holds the sampling of both classes (DeLong et al., Biometrics 1988).
"""

from collections.abc import Sequence

import numpy as np

from mmicl.benchmarks.benchmark import (
    Benchmark,
    Columns,
    Item,
    Metric,
    Sums,
    divide,
    mean,
    yes_margin,
)
from mmicl.benchmarks.paper import list_published
from mmicl.benchmarks.parts import Judged
from mmicl.records import Example

RULE = Judged()


def judge(items: Sequence[Item]) -> Columns:
    """Whether the label is right, and how much of the other class lies on the right side."""
    margins = np.array([yes_margin(item.predictions[0]) for item in items])
    return _columns([item.example for item in items], margins, RULE.judge(items))


def guess(examples: Sequence[Example], train: Sequence[Example]) -> Columns:
    """A coin, which ranks nothing."""
    return _columns(examples, np.zeros(len(examples)), RULE.guess(examples, train))


def _columns(examples: Sequence[Example], margins: np.ndarray, labels: Columns) -> Columns:
    """Without memes of both classes there is no curve, and no meme counts for it."""
    hateful = np.array([example.target == "yes" for example in examples])
    there = bool(hateful.any() and not hateful.all())
    below = _rank(margins, margins[~hateful]) * hateful * there
    above = (1 - _rank(margins, margins[hateful])) * ~hateful * there
    area = below.sum() / max(1, hateful.sum())
    return {
        **labels,
        "below": below, "hateful": hateful.astype(float) * there,
        "above": above, "harmless": (~hateful).astype(float) * there,
        "area": np.full(len(examples), area),
    }  # fmt: skip


def _rank(margins: np.ndarray, others: np.ndarray) -> np.ndarray:
    """The share of the others that lies below each margin; ties count half."""
    ordered = np.sort(others)
    below = np.searchsorted(ordered, margins, "left") + np.searchsorted(ordered, margins, "right")
    return below / (2 * max(1, ordered.size))


def _area(sums: Sums) -> np.ndarray:
    """Both classes' means less the area of all that were asked, which all three are unresampled."""
    hateful = divide(sums["below"], sums["hateful"])
    harmless = divide(sums["above"], sums["harmless"])
    # Few memes can stray past the ends together.
    return 100 * np.clip(hateful + harmless - divide(sums["area"], sums["n"]), 0, 1)


HATEFUL_MEMES = Benchmark(
    name="hateful_memes",
    version="hateful-memes/seen",
    category="classification",
    task="classify",
    kind="yes_probability",
    scorer="exact",
    metrics={"roc_auc": Metric(_area), "accuracy": mean("right")},
    headline=("roc_auc", "accuracy"),
    judge=judge,
    chance=guess,
    constant=RULE.constant,
    licence="Hateful Memes licence (Meta, research only); pictures from Getty Images",
    published=list_published("hateful_memes"),
    split="val",
)
