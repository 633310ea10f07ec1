"""Raven IQ (Kosmos-1's 50 puzzles): which of six candidates comes next.

As Kosmos-1 and MMICL ask: each candidate alone after the given panels, and the one with the
likeliest yes is the answer.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from mmicl.benchmarks.benchmark import Benchmark, Columns, Constant, mean
from mmicl.benchmarks.paper import list_published
from mmicl.benchmarks.raven import judge
from mmicl.mic.queries import YES_NO, Query, expand
from mmicl.records import Example


def ask(example: Example) -> list[Query]:
    """One question per candidate, in the words of RAVEN's."""
    (whole,) = expand(example)
    given = len(example.images) - len(example.choices)
    return [
        replace(
            whole,
            id=f"{example.id}#p{place}",
            key=f"p{place}",
            task="raven",
            images=(*whole.images[:given], whole.images[given + place]),
            names=(*whole.names[:given], whole.names[given + place]),
            question=f"Is <image:{given}> the right next image?",
            choices=(),
            candidates=YES_NO,
            kind="yes_probability",
            target=YES_NO[place != example.answer_index],
        )
        for place in range(len(example.choices))
    ]


def guess(examples: Sequence[Example], _: Sequence[Example]) -> Columns:
    """One of the candidates at random."""
    right = np.array([1 / len(example.choices) for example in examples])
    return {"right": right, "n": np.ones(len(examples))}


RAVEN_IQ = Benchmark(
    name="raven_iq",
    version="raven-iq50/yes-per-candidate",
    category="nonverbal reasoning",
    task="choice",
    kind="yes_probability",
    scorer="choice",
    metrics={"accuracy": mean("right")},
    headline=("accuracy",),
    judge=judge,
    chance=guess,
    # The same answer for every candidate makes all of them tie, which is chance.
    constant=lambda _: Constant("yes", (0.0, 0.0)),
    licence="none declared; puzzles from IQ test websites",
    published=list_published("raven_iq"),
    ask=ask,
)
