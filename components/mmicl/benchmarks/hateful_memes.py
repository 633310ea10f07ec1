"""Hateful Memes: is a picture with words on it hateful; area under the ROC curve, and accuracy.

The area is the mean, over hateful memes, of the share of harmless ones that got a lower probability
of yes (ties count half), which is what scikit-learn computes. Its interval resamples the hateful
memes with that share as it is among all that were asked.
"""

from collections.abc import Sequence

import numpy as np

from mmicl.benchmarks.benchmark import Benchmark, Columns, Item, mean, yes_margin
from mmicl.benchmarks.paper import list_published
from mmicl.benchmarks.parts import Judged
from mmicl.records import Example

RULE = Judged()


def judge(items: Sequence[Item]) -> Columns:
    """Whether the label is right, and for hateful memes how many harmless ones lie below."""
    margins = np.array([yes_margin(item.predictions[0]) for item in items])
    return _columns([item.example for item in items], margins, RULE.judge(items))


def guess(examples: Sequence[Example], train: Sequence[Example]) -> Columns:
    """A coin, which ranks nothing."""
    return _columns(examples, np.zeros(len(examples)), RULE.guess(examples, train))


def _columns(examples: Sequence[Example], margins: np.ndarray, labels: Columns) -> Columns:
    """Without harmless memes there is no curve, and no meme counts for it."""
    hateful = np.array([example.target == "yes" for example in examples])
    harmless = np.sort(margins[~hateful])
    counts = hateful.astype(float) * bool(harmless.size)
    below = np.searchsorted(harmless, margins, "left") + np.searchsorted(harmless, margins, "right")
    share = below / (2 * max(1, harmless.size))
    return {**labels, "below": share * counts, "hateful": counts}


HATEFUL_MEMES = Benchmark(
    name="hateful_memes",
    version="hateful-memes/seen",
    category="classification",
    task="classify",
    kind="yes_probability",
    scorer="exact",
    metrics={"roc_auc": mean("below", "hateful"), "accuracy": mean("right")},
    headline=("roc_auc", "accuracy"),
    judge=judge,
    chance=guess,
    constant=RULE.constant,
    licence="Hateful Memes licence (Meta, research only); pictures from Getty Images",
    published=list_published("hateful_memes"),
    split="val",
)
