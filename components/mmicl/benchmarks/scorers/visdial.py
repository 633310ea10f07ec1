"""VisDial: where the right answer ranks among a round's 100 candidates, and NDCG.

As visdialch/metrics.py of batra-mlp-lab/visdial-challenge-starter-pytorch @ 9acafd2 computes them,
here in double precision. A prediction gives each candidate its rank, 1 the best.
"""

from collections.abc import Sequence

import numpy as np


def score_ranks(ranks: Sequence[int]) -> dict[str, float]:
    """Of the right answers' ranks: shares within 1, 5 and 10, mean rank, mean reciprocal rank."""
    values = np.array(ranks, float)
    return {
        "r@1": float((values <= 1).mean()),
        "r@5": float((values <= 5).mean()),
        "r@10": float((values <= 10).mean()),
        "mean": float(values.mean()),
        "mrr": float((1 / values).mean()),
    }


def ndcg(ranks: Sequence[float], relevance: Sequence[float]) -> float:
    """One round's normalized discounted cumulative gain, 0 to 1.

    Counted over the first k candidates, where k is how many have any relevance. Candidates of equal
    rank, which official predictions do not have, gain what drawing their order gives on average.

    Args:
        ranks: Of each candidate; the lower the better.
        relevance: Of each candidate.

    Raises:
        ValueError: None has.
    """
    gains = np.array(relevance, float)
    k = int(np.count_nonzero(gains))
    if not k:
        raise ValueError("no candidate is relevant")
    discounts = np.log2(np.arange(k) + 2)
    _, level = np.unique(ranks, return_inverse=True)
    shared = (np.bincount(level, weights=gains) / np.bincount(level))[level]
    found = shared[np.argsort(ranks, kind="stable")][:k]
    best = np.sort(gains)[::-1][:k]
    return float((found / discounts).sum() / (best / discounts).sum())
