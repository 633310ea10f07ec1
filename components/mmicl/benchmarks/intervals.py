"""95 % bootstrap intervals over groups: items that share a picture or a puzzle stay together.

And what each item adds to a figure, for comparing two models item by item.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from mmicl.benchmarks.benchmark import Columns, Metric

_CELLS = 4_000_000
"""Of the table of draws that is held at a time."""
_STEP = 1e-3
"""By which an item's weight is changed: small beside 1, large beside rounding errors."""


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


def share_out(columns: Columns, metric: Metric) -> np.ndarray | None:
    """What each item adds to a figure [items]; their mean is the figure, in points.

    An item's share is the figure, and how fast it moves as the item's weight grows. Resampled, the
    mean of the shares strays as the figure does, to first order (Jaeckel's infinitesimal
    jackknife); so do differences of two models' shares.

    Args:
        columns: Column -> [items].
        metric: Of the columns' sums; where all are doubled it must stay as it is, or be a count
            that doubles.

    Returns:
        None where the metric counts nothing.
    """
    sums = sum_columns(columns)
    value = float(metric.formula(sums))
    if np.isnan(value):
        return None
    more, less = (
        metric.formula({name: sums[name] + step * own for name, own in columns.items()})
        for step in (_STEP, -_STEP)
    )
    slopes = (more - less) / (2 * _STEP)
    return value + len(slopes) * (slopes - slopes.mean())
