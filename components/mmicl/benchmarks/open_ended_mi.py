"""Open-Ended miniImageNet: name a picture by the made-up names of the pictures before it.

An episode's named pictures come as worked examples of its own, whatever `shots` says, so that
`shots` stays 0. The number in a metric's name is how many pictures each name is shown on.
"""

import json
from collections.abc import Sequence

import numpy as np

from mmicl.benchmarks.benchmark import Benchmark, Columns, Constant, Item, mean
from mmicl.benchmarks.scorers.exact import is_right
from mmicl.records import Example

SHOTS = (1, 2)


def judge(items: Sequence[Item]) -> Columns:
    """Equal but for case and spaces, overall and by the episode's shots."""
    right = [is_right(item.predictions[0].text, item.requests[0].target) for item in items]
    return _columns([item.example for item in items], np.array(right, float))


def guess(examples: Sequence[Example], _: Sequence[Example]) -> Columns:
    """One of the episode's names."""
    return _columns(examples, np.array([1 / len(set(example.choices)) for example in examples]))


def _columns(examples: Sequence[Example], right: np.ndarray) -> Columns:
    columns = {"right": right, "n": np.ones(len(examples))}
    given = [json.loads(example.meta).get("shots") for example in examples]
    for shots in SHOTS:
        own = np.array([one == shots for one in given], float)
        columns |= {f"right_{shots}shot": right * own, f"n_{shots}shot": own}
    return columns


OPEN_ENDED_MI = Benchmark(
    name="open_ended_mi",
    version="open-ended-mi/exact-match",
    category="several images",
    task="episode",
    kind="generate",
    scorer="exact",
    metrics={
        "accuracy": mean("right"),
        **{f"accuracy_{s}shot": mean(f"right_{s}shot", f"n_{s}shot") for s in SHOTS},
    },
    headline=("accuracy",),
    judge=judge,
    chance=guess,
    # Names are made up anew for every episode: no answer can be given without looking.
    constant=lambda _: Constant(""),
    licence="questions as released by DeepMind for research; pictures from ImageNet, research only",
)
