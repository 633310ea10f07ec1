"""VisDial 1.0: a round of a dialogue about a photo; where the right answer ranks among a hundred.

The candidates are ranked by their likelihood after the dialogue so far, which no prompt lists them
in. Candidates that tie share their ranks: each metric is what drawing their order would give on
average. NDCG is of the rounds whose candidates' relevance is annotated, one of each dialogue.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from mmicl.benchmarks.benchmark import Benchmark, Columns, Constant, Item, Metric, mean
from mmicl.benchmarks.paper import list_published
from mmicl.benchmarks.parts import need, read_meta
from mmicl.benchmarks.scorers.visdial import ndcg
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
        replace(query, candidates=example.choices, kind="candidates") for query in expand(example)
    ]


def judge(items: Sequence[Item]) -> Columns:
    """What is expected of the right answer's rank."""
    examples = [item.example for item in items]
    likelihoods = [item.predictions[0].scores for item in items]
    return _columns(
        examples,
        [
            np.array(scores or (0.0,) * len(example.choices))
            for example, scores in zip(examples, likelihoods, strict=True)
        ],
    )


def guess(examples: Sequence[Example], _: Sequence[Example]) -> Columns:
    """Any order of the candidates."""
    return _columns(examples, [np.zeros(len(example.choices)) for example in examples])


def _columns(examples: Sequence[Example], scores: Sequence[np.ndarray]) -> Columns:
    """From the likelihoods of each round's candidates."""
    ranks, gains = [], []
    for example, values in zip(examples, scores, strict=True):
        right = values[example.answer_index]
        above, tied = int((values > right).sum()), int((values == right).sum())
        ranks.append(np.arange(above + 1, above + tied + 1))
        relevance = read_meta(example, "relevance")
        gains.append(np.nan if relevance is None else ndcg((-values).tolist(), relevance))
    return {
        **{f"first_{k}": np.array([float((own <= k).mean()) for own in ranks]) for k in FIRST},
        "rank": np.array([float(own.mean()) for own in ranks]),
        "reciprocal": np.array([float((1 / own).mean()) for own in ranks]),
        "n": np.ones(len(ranks)),
        "gain": np.nan_to_num(gains),
        "annotated": 1.0 - np.isnan(gains),
    }


VISDIAL = Benchmark(
    name="visdial",
    version="visdial-1.0/likelihood",
    category="visual dialog",
    task="dialog",
    kind="candidates",
    scorer="visdial",
    metrics={
        "mrr": mean("reciprocal"),
        **{f"r_{k}": mean(f"first_{k}") for k in FIRST},
        "ndcg": mean("gain", "annotated"),
        "mean_rank": Metric(lambda sums: np.asarray(sums["rank"] / sums["n"]), ranked=False),
    },
    headline=("mrr", "r_1"),
    judge=judge,
    chance=guess,
    # Candidates are others in every round: the same likelihood for all of them ranks nothing.
    constant=lambda _: Constant("", ()),
    licence="CC BY 4.0; photos under their Flickr terms",
    published=list_published("visdial"),
    split="val",
    ask=ask,
    not_computed=need("ndcg", "relevance", "visdial_1.0_val_dense_annotations.json"),
)
