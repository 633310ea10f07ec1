"""VisDial 1.0: a round of a dialogue about a photo; where the right answer ranks among a hundred.

The candidates are ranked by their likelihood after the dialogue so far, which no prompt lists them
in. Candidates that tie share their ranks: each metric is what drawing their order would give on
average. NDCG needs annotations that no Example carries; `mmicl score visdial` computes it.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from mmicl.benchmarks.benchmark import Benchmark, Columns, Constant, Item, Metric, mean
from mmicl.benchmarks.paper import list_published
from mmicl.errors import DataError
from mmicl.mic.queries import Query, expand
from mmicl.records import Example

FIRST = (1, 5, 10)


def ask(example: Example) -> list[Query]:
    """The dialogue so far, and the candidates to be scored.

    Raises:
        DataError: The round has no candidates.
    """
    if not 0 <= example.answer_index < len(example.choices):
        raise DataError("a round without candidate answers", where=example.id)
    return [
        replace(query, choices=(), candidates=example.choices, kind="candidates")
        for query in expand(example)
    ]


def judge(items: Sequence[Item]) -> Columns:
    """What is expected of the right answer's rank."""
    above, tied = [], []
    for item in items:
        scores = np.array(item.predictions[0].scores or (0.0,) * len(item.example.choices))
        right = scores[item.example.answer_index]
        above.append(int((scores > right).sum()))
        tied.append(int((scores == right).sum()))
    return _columns(above, tied)


def guess(examples: Sequence[Example], _: Sequence[Example]) -> Columns:
    """Any order of the candidates."""
    return _columns([0] * len(examples), [len(example.choices) for example in examples])


def _columns(above: Sequence[int], tied: Sequence[int]) -> Columns:
    """From how many candidates lie above the right one and how many, itself included, with it."""
    ranks = [np.arange(a + 1, a + t + 1) for a, t in zip(above, tied, strict=True)]
    return {
        **{f"first_{k}": np.array([float((own <= k).mean()) for own in ranks]) for k in FIRST},
        "rank": np.array([float(own.mean()) for own in ranks]),
        "reciprocal": np.array([float((1 / own).mean()) for own in ranks]),
        "n": np.ones(len(ranks)),
    }


VISDIAL = Benchmark(
    name="visdial",
    version="visdial-1.0/likelihood",
    category="visual dialog",
    task="vqa",
    kind="candidates",
    metrics={
        "mrr": mean("reciprocal"),
        **{f"r_{k}": mean(f"first_{k}") for k in FIRST},
        "mean_rank": Metric(lambda sums: np.asarray(sums["rank"] / sums["n"]), ranked=False),
    },
    headline=("mrr", "r_1"),
    judge=judge,
    chance=guess,
    # Candidates are others in every round: the same likelihood for all of them ranks nothing.
    constant=lambda _: Constant("", ()),
    licence="CC BY 4.0; photos under their Flickr terms",
    published=list_published("visdial", "mrr", "the metric is not said; taken to be this one"),
    split="val",
    ask=ask,
)
