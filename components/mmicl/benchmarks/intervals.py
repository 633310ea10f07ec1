"""95 % bootstrap intervals over groups: items that share a picture or a puzzle stay together."""

from collections.abc import Mapping, Sequence

import numpy as np

from mmicl.benchmarks.benchmark import Columns, Metric

_CELLS = 4_000_000
"""Of the table of draws that is held at a time."""


def sum_columns(columns: Columns) -> dict[str, np.ndarray]:
    """The sum of every column."""
    return {name: values.sum() for name, values in columns.items()}


def bootstrap(
    columns: Columns,
    groups: Sequence[str],
    metrics: Mapping[str, Metric],
    *,
    resamples: int,
    seed: int,
) -> dict[str, tuple[float, float]]:
    """The percentile interval (low, high) of every metric, in points.

    Groups are drawn with replacement. Resamples in which a metric counts nothing do not enter its
    interval; a metric that counts nothing in any is nan.

    Args:
        columns: Column -> [items].
        groups: The group of each item.
        metrics: What is made of the columns' sums.
        resamples: How many.
        seed: Of the draws.
    """
    _, group = np.unique(np.asarray(groups), return_inverse=True)
    count = int(group.max()) + 1
    table = np.stack(
        [np.bincount(group, weights=values, minlength=count) for values in columns.values()], 1
    )
    generator = np.random.default_rng(seed)
    parts = []
    step = max(1, _CELLS // count)
    for start in range(0, resamples, step):
        size = min(step, resamples - start)
        weights = generator.multinomial(count, np.full(count, 1 / count), size=size)
        parts.append(weights.astype(float) @ table)
    drawn = np.concatenate(parts)  # [resamples, columns]
    sums = {name: drawn[:, place] for place, name in enumerate(columns)}
    intervals = {}
    for name, metric in metrics.items():
        values = metric.formula(sums)
        values = values[~np.isnan(values)]
        if values.size:
            low, high = np.percentile(values, [2.5, 97.5])
            intervals[name] = (float(low), float(high))
        else:
            intervals[name] = (float("nan"), float("nan"))
    return intervals
