"""POPE: is there such an object in the picture, in three settings of the negatives."""

import json
from collections.abc import Callable, Sequence

import numpy as np

from mmicl.benchmarks.benchmark import (
    Benchmark,
    Columns,
    Constant,
    Item,
    Metric,
    Sums,
    divide,
    mean,
)
from mmicl.benchmarks.paper import list_published
from mmicl.benchmarks.scorers.pope import says_yes
from mmicl.records import Example

SETTINGS = ("random", "popular", "adversarial")
_COUNTS = ("tp", "fp", "tn", "fn")


def judge(items: Sequence[Item]) -> Columns:
    """The confusion matrix, pooled and by setting."""
    yes = np.array([says_yes(item.predictions[0].text) for item in items], float)
    return _columns([item.example for item in items], yes)


def guess(examples: Sequence[Example], _: Sequence[Example]) -> Columns:
    """A coin that says yes half the time."""
    return _columns(examples, np.full(len(examples), 0.5))


def _columns(examples: Sequence[Example], yes: np.ndarray) -> Columns:
    right = np.array([example.target != "no" for example in examples], float)
    settings = [json.loads(example.meta).get("setting") for example in examples]
    counts = {
        "tp": yes * right, "fp": yes * (1 - right),
        "tn": (1 - yes) * (1 - right), "fn": (1 - yes) * right,
        "right": yes * right + (1 - yes) * (1 - right), "n": np.ones(len(examples)),
    }  # fmt: skip
    columns = dict(counts)
    for setting in SETTINGS:
        own = np.array([value == setting for value in settings], float)
        columns |= {f"{name}_{setting}": values * own for name, values in counts.items()}
    return columns


def _metrics(suffix: str) -> dict[str, Metric]:
    """The official metrics of one setting (pooled: no suffix), as scorers.pope.score has them."""

    def of(formula: Callable[..., np.ndarray], ranked: bool = True) -> Metric:
        def points(sums: Sums) -> np.ndarray:
            counts = [np.asarray(sums[name + suffix], float) for name in _COUNTS]
            return np.where(sum(counts) == 0, np.nan, 100 * formula(*counts))

        return Metric(points, ranked=ranked)

    return {
        f"accuracy{suffix}": mean(f"right{suffix}", f"n{suffix}"),
        f"precision{suffix}": of(lambda tp, fp, tn, fn: divide(tp, tp + fp, 0.0)),
        f"recall{suffix}": of(lambda tp, fp, tn, fn: divide(tp, tp + fn, 0.0)),
        f"f1{suffix}": of(lambda tp, fp, tn, fn: divide(2 * tp, 2 * tp + fp + fn, 0.0)),
        f"yes_ratio{suffix}": of(
            lambda tp, fp, tn, fn: divide(tp + fp, tp + fp + tn + fn), ranked=False
        ),
    }


POPE = Benchmark(
    name="pope",
    version="pope/evaluate@f3ec604",
    category="hallucination",
    task="pope",
    kind="yes_probability",
    scorer="pope",
    metrics={
        **_metrics(""),
        **{name: one for setting in SETTINGS for name, one in _metrics(f"_{setting}").items()},
    },
    headline=("accuracy", "f1", "yes_ratio"),
    judge=judge,
    chance=guess,
    # POPE has no training split; always yes is the answer that its paper warns of.
    constant=lambda _: Constant("yes", (0.0, 0.0)),
    licence="questions MIT; photos under their Flickr terms",
    published=list_published("pope"),
)
