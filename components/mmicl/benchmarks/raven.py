"""RAVEN: which panel completes the matrix; the candidate with the likeliest yes is the choice."""

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
from mmicl.benchmarks.scorers.choice import credit
from mmicl.records import Example


def judge(items: Sequence[Item]) -> Columns:
    """Whether the right candidate has the likeliest yes; candidates that tie share the credit."""
    values = [
        credit([yes_margin(one) for one in item.predictions], item.example.answer_index)
        for item in items
    ]
    return {"right": np.array(values, float), "n": np.ones(len(items))}


def guess(examples: Sequence[Example], _: Sequence[Example]) -> Columns:
    """One of the candidates at random."""
    from mmicl.mic.queries import RAVEN_CONTEXT

    values = [1 / (len(example.images) - RAVEN_CONTEXT) for example in examples]
    return {"right": np.array(values), "n": np.ones(len(examples))}


RAVEN = Benchmark(
    name="raven",
    version="raven/yes-per-candidate",
    category="nonverbal reasoning",
    task="raven",
    kind="yes_probability",
    scorer="choice",
    metrics={"accuracy": mean("right")},
    headline=("accuracy",),
    judge=judge,
    chance=guess,
    # The same answer for every candidate makes all of them tie, which is chance.
    constant=lambda _: Constant("yes", (0.0, 0.0)),
    licence="GPL-3.0 (official repository)",
    # The paper's figures are of Kosmos-1's 50 puzzles: raven_iq.
)
