"""VCR: which of four answers (Q -> A), or of four rationales (QA -> R); the likeliest is chosen."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from mmicl.benchmarks.benchmark import Benchmark, Columns, Constant, Item, mean, most_common
from mmicl.benchmarks.scorers.choice import credit
from mmicl.records import Example

CHOICES = 4


def judge(items: Sequence[Item]) -> Columns:
    """Whether the right option has the highest log-likelihood."""
    values = [credit(item.predictions[0].scores, item.example.answer_index) for item in items]
    return {"right": np.array(values, float), "n": np.ones(len(items))}


def guess(examples: Sequence[Example], _: Sequence[Example]) -> Columns:
    """One of the options at random."""
    values = [1 / len(example.choices) for example in examples]
    return {"right": np.array(values), "n": np.ones(len(examples))}


def constant(train: Sequence[Example]) -> Constant:
    """The option at the place where the training split's right ones stand most often."""
    place = int(most_common([str(example.answer_index) for example in train]) or 0)
    return Constant(str(place), tuple(float(number == place) for number in range(CHOICES)))


VCR = Benchmark(
    name="vcr",
    version="vcr/q2a",
    category="visual reasoning",
    task="vcr",
    kind="candidates",
    scorer="choice",
    metrics={"accuracy": mean("right")},
    headline=("accuracy",),
    judge=judge,
    chance=guess,
    constant=constant,
    licence="VCR research licence; pictures from LSMDC and YouTube",
    split="val",
)
VCR_RATIONALE = replace(VCR, name="vcr_rationale", version="vcr/qa2r")
