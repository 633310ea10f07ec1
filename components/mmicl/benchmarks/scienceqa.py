"""ScienceQA, the problems with a picture: the likeliest choice is the model's answer.

Beside the whole, the problems with a hint, without one, and those whose hint names a wrong choice:
who reads without looking loses there (the language bias that the paper measures).
"""

import json
from collections.abc import Sequence

import numpy as np

from mmicl.benchmarks.benchmark import (
    Benchmark,
    Columns,
    Constant,
    Item,
    Published,
    mean,
    most_common,
)
from mmicl.benchmarks.scorers.choice import credit
from mmicl.records import Example

PARTS = ("hinted", "misled", "no_hint")


def judge(items: Sequence[Item]) -> Columns:
    """Whether the right choice is the likeliest; choices that tie share the credit."""
    values = [credit(item.predictions[0].scores, item.example.answer_index) for item in items]
    return _columns([item.example for item in items], np.array(values, float))


def guess(examples: Sequence[Example], _: Sequence[Example]) -> Columns:
    """One of the choices at random."""
    return _columns(examples, np.array([1 / len(example.choices) for example in examples]))


def _columns(examples: Sequence[Example], right: np.ndarray) -> Columns:
    """All problems, and the parts; the misled ones are among the hinted."""
    columns = {"right": right, "n": np.ones(len(examples))}
    metas = [json.loads(example.meta) for example in examples]
    belongs = {
        "hinted": [bool(meta["hint"]) for meta in metas],
        "misled": [bool(meta["misleads"]) for meta in metas],
        "no_hint": [not meta["hint"] for meta in metas],
    }
    for part in PARTS:
        own = np.array(belongs[part], float)
        columns |= {f"right_{part}": right * own, f"n_{part}": own}
    return columns


def constant(train: Sequence[Example]) -> Constant:
    """The choice at the place where the training split's right ones stand most often.

    Where a problem has fewer choices, that answer is wrong.
    """
    place = int(most_common([str(example.answer_index) for example in train]) or 0)
    return Constant(str(place), tuple(float(number == place) for number in range(place + 1)))


SCIENCEQA = Benchmark(
    name="scienceqa",
    version="scienceqa/likeliest-choice",
    category="knowledge QA",
    task="scienceqa",
    kind="candidates",
    metrics={
        "accuracy": mean("right"),
        **{f"accuracy_{part}": mean(f"right_{part}", f"n_{part}") for part in PARTS},
    },
    headline=("accuracy", "accuracy_misled"),
    judge=judge,
    chance=guess,
    constant=constant,
    licence="CC-BY-NC-SA-4.0",
    published=tuple(
        Published(system, "accuracy", value, False, "test problems with a picture")
        for system, value in {
            "MMICL": 82.1, "InstructBLIP": 71.3, "Otter": 63.1, "Ying-VLM": 55.7, "Shikra": 45.8,
            "random": 35.5,
        }.items()
    ),
)  # fmt: skip
