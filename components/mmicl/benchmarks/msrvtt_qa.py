"""MSRVTT-QA: an open question about a video; the answer must be the annotated one.

Officially a classifier chooses among training's most common answers and is right where that is the
annotated one; for a model that writes its answer this is exact match.
"""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from mmicl.benchmarks.benchmark import Benchmark, Columns, Constant, Item, mean, most_common
from mmicl.benchmarks.scorers.exact import is_right, normalise
from mmicl.records import Example


def judge(items: Sequence[Item]) -> Columns:
    """Equal but for case and spaces."""
    values = [is_right(item.predictions[0].text, item.example.target) for item in items]
    return {"right": np.array(values, float), "n": np.ones(len(items))}


def guess(examples: Sequence[Example], train: Sequence[Example]) -> Columns | None:
    """Expected accuracy of an answer drawn from the training split's."""
    drawn = Counter(normalise(example.target) for example in train)
    total = sum(drawn.values())
    if not total:
        return None
    values = [drawn[normalise(example.target)] / total for example in examples]
    return {"right": np.array(values), "n": np.ones(len(examples))}


MSRVTT_QA = Benchmark(
    name="msrvtt_qa",
    version="msrvtt-qa/exact-match",
    category="video QA",
    task="video",
    kind="generate",
    metrics={"accuracy": mean("right")},
    headline=("accuracy",),
    judge=judge,
    chance=guess,
    constant=lambda train: Constant(most_common([example.target for example in train])),
    licence="none declared; videos under YouTube's terms",
    # MMICL's paper gives no figure: MSRVTT-QA is among its training data.
)
