"""Which samples a step sees: a pure function of (seed, epoch, index), with no cursor to save.

A global batch is the same however many ranks share it, so that hardware changes no result beyond
rounding, and a resumed run goes on with the very samples that would have come next.
"""

import math
from bisect import bisect_left
from collections.abc import Sequence
from functools import lru_cache

import numpy as np


def batch_indices(samples: int, seed: int, step: int, size: int) -> list[int]:
    """The samples of a global batch.

    Every epoch is its own permutation; a batch may span the end of one and the start of the next.

    Args:
        samples: How many there are, at least 1.
        seed: Of the run.
        step: From 0.
        size: Samples a batch.
    """
    positions = range(step * size, (step + 1) * size)
    return [
        int(_permutation(samples, seed, position // samples)[position % samples])
        for position in positions
    ]


def plan_micro_batches(
    lengths: Sequence[int], ranks: int, rows: int, tokens: int
) -> list[list[list[int | None]]]:
    """Deal a global batch out: `plan[rank][micro step]` is a list of places in the batch.

    Samples of like length come together, so that little is padded, and micro batches of few long
    samples hold about as many tokens as those of many short ones: ranks that work side by side get
    the like of each other. Every rank has the same number of micro steps; where there is nothing
    left for one, its micro batch is a single None (a row without weight).

    Args:
        lengths: Of the batch's samples.
        ranks: How many share the batch.
        rows: Samples a micro batch, at the most.
        tokens: Rows times the longest, at the most; a sample that is longer comes alone.
    """
    order = sorted(range(len(lengths)), key=lambda place: (-lengths[place], place))

    def cut(limit: int) -> list[list[int | None]]:
        chunks: list[list[int | None]] = []
        room = 0
        for place in order:
            if not room:
                chunks.append([])
                room = min(rows, max(1, limit // lengths[place]))
            chunks[-1].append(place)
            room -= 1
        return chunks

    steps = math.ceil(len(cut(tokens)) / ranks)
    # the tightest cut into as many: its micro batches are the most alike
    limit = bisect_left(range(tokens), True, key=lambda limit: len(cut(limit)) <= steps * ranks)
    chunks = cut(limit)
    nothing: list[int | None] = [None]
    chunks += [nothing] * (steps * ranks - len(chunks))
    return [chunks[rank::ranks] for rank in range(ranks)]


@lru_cache(maxsize=2)
def _permutation(samples: int, seed: int, epoch: int) -> np.ndarray:
    return np.random.default_rng([seed, epoch]).permutation(samples)
