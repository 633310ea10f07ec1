"""Which samples a step sees: a pure function of (seed, epoch, index), with no cursor to save.

A global batch is the same however many ranks share it, so that hardware changes no result beyond
rounding, and a resumed run goes on with the very samples that would have come next.
"""

import math
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
    lengths: Sequence[int], ranks: int, micro_batch: int
) -> list[list[list[int | None]]]:
    """Deal a global batch out: `plan[rank][micro step]` is a list of places in the batch.

    Samples of like length come together, so that little is padded, and ranks that work side by
    side get the like of each other. Every rank has the same number of micro steps, and every micro
    batch the same number of rows; what is missing for that is None (a row without weight).

    Args:
        lengths: Of the batch's samples.
        ranks: How many share the batch.
        micro_batch: Rows at the most.
    """
    steps = math.ceil(len(lengths) / (ranks * micro_batch))
    rows = math.ceil(len(lengths) / (ranks * steps))
    ordered: list[int | None] = []
    ordered += sorted(range(len(lengths)), key=lambda place: (-lengths[place], place))
    ordered += [None] * (ranks * steps * rows - len(ordered))
    chunks = [ordered[start : start + rows] for start in range(0, len(ordered), rows)]
    return [chunks[rank::ranks] for rank in range(ranks)]


def count_micro_steps(global_batch: int, ranks: int, micro_batch: int) -> int:
    """Micro steps a rank takes for a global batch, as `plan_micro_batches` deals it out."""
    return math.ceil(global_batch / (ranks * micro_batch))


@lru_cache(maxsize=2)
def _permutation(samples: int, seed: int, epoch: int) -> np.ndarray:
    return np.random.default_rng([seed, epoch]).permutation(samples)
