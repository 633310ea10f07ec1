"""Two models on the same items: the mean difference, with an interval.

Items that share an image or a puzzle stand or fall together, so whole groups are drawn anew. Where
a metric is no mean over items, its table holds each item's share in it (the mean of the shares is
the metric), and the interval is right to first order.
"""

from collections.abc import Mapping
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

import numpy as np
import pyarrow.parquet as pq

from mmicl.errors import UserError

ITEMS = "items.parquet"
"""In reports/predictions: one row (benchmark, metric, item, group, value) per item and metric."""
RESAMPLES = 2000
SEED = 20230914
"""Fixed, so that the same two models always compare the same way."""


class Pairs(NamedTuple):
    """Score differences of the items that two models answered, in points, and their groups."""

    groups: list[str]
    differences: list[float]


class Difference(NamedTuple):
    """A mean difference in points with its 95 % interval."""

    low: float
    mean: float
    high: float

    @property
    def clear(self) -> bool:
        """Whether the interval leaves zero out."""
        return not self.low <= 0 <= self.high

    def write(self) -> str:
        """The mean with its interval, to a tenth of a point."""
        return f"{self.mean:+.1f} [{self.low:+.1f}, {self.high:+.1f}]"


ItemScores = Mapping[str, tuple[str, float]]
"""Item -> its group, and its score on one metric in points."""


def read_items(predictions: Path, benchmark: str, metric: str) -> ItemScores:
    """The items of a copy of reports/predictions; none where the metric was not measured."""
    wanted = [("benchmark", "==", benchmark), ("metric", "==", metric)]
    rows = pq.read_table(predictions / ITEMS, filters=wanted).to_pylist()
    return {row["item"]: (row["group"], row["value"]) for row in rows}


def read_all_items(predictions: Path) -> dict[str, dict[str, tuple[str, float]]]:
    """`benchmark.metric` -> its items as of `read_items`, of all metrics that were measured."""
    found: dict[str, dict[str, tuple[str, float]]] = {}
    for row in pq.read_table(predictions / ITEMS).to_pylist():
        own = found.setdefault(f"{row['benchmark']}.{row['metric']}", {})
        own[row["item"]] = (row["group"], row["value"])
    return found


def pair_items(ours: ItemScores, theirs: ItemScores) -> Pairs | None:
    """Differences (ours minus theirs), or None unless both answered the same items, and some."""
    if not ours or set(ours) != set(theirs):
        return None
    return Pairs(
        groups=[ours[item][0] for item in ours],
        differences=[ours[item][1] - theirs[item][1] for item in ours],
    )


def resample(pairs: Pairs) -> Difference:
    """The mean difference and its 95 % percentile interval, from RESAMPLES draws of groups."""
    _, group = np.unique(pairs.groups, return_inverse=True)
    totals, counts = np.bincount(group, weights=pairs.differences), np.bincount(group)
    draws = np.random.default_rng(SEED).integers(len(totals), size=(RESAMPLES, len(totals)))
    means = totals[draws].sum(axis=1) / counts[draws].sum(axis=1)
    low, high = np.percentile(means, [2.5, 97.5])
    return Difference(float(low), float(totals.sum() / counts.sum()), float(high))


def compare_folders(ours: Path, theirs: Path) -> dict[str, dict[str, float | None]]:
    """Two models item by item, on every metric that either has.

    Args:
        ours: A copy of reports/predictions, or a checkout or workspace that has one.
        theirs: Likewise.

    Returns:
        `benchmark.metric` -> items, both figures, and ours minus theirs with its interval, in
        points. Nothing is paired (None) where theirs is of other items than ours, or where one of
        the two lacks the metric: then its figure is None as well.

    Raises:
        UserError: A folder has no predictions, or the two share no metric.
    """
    mine, others = (read_all_items(_find_predictions(folder)) for folder in (ours, theirs))
    found: dict[str, dict[str, float | None]] = {}
    if not set(mine) & set(others):
        raise UserError("no metric in common", where=f"{ours}, {theirs}")
    for metric in sorted(set(mine) | set(others)):
        sides = {"ours": mine.get(metric, {}), "theirs": others.get(metric, {})}
        means = {
            name: fmean(value for _, value in side.values()) if side else None
            for name, side in sides.items()
        }
        pairs = pair_items(sides["ours"], sides["theirs"])
        difference = resample(pairs)._asdict() if pairs else dict.fromkeys(Difference._fields)
        items = len(sides["ours"] or sides["theirs"])
        found[metric] = {"items": items, **means, **difference}
    return found


def _find_predictions(folder: Path) -> Path:
    for place in (folder, folder / "reports" / "predictions"):
        if (place / ITEMS).is_file():
            return place
    raise UserError(
        f"no {ITEMS} of a stage evaluate",
        where=folder,
        remedy="give reports/predictions, or the checkout or workspace that has it",
    )
