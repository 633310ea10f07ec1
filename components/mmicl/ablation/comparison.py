"""Claims against scores: paired differences over the items that two variants answered.

Nothing is chosen after the fact: variants, claims and metrics stand in params.yaml (`ablation`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any, Literal

from mmicl.config import Claim
from mmicl.files import read_json
from mmicl.paths import Paths
from mmicl.tracking.pairs import (
    Difference,
    ItemScores,
    Pairs,
    pair_items,
    read_all_items,
    resample,
)

Verdict = Literal["holds", "not shown", "reversed", "not measured"]
CEILING = 95.0
"""Points from which two variants leave each other little room."""


@dataclass(frozen=True)
class Scored:
    """A variant under one seed: reports/scores.json, and `benchmark.metric` -> the items' own."""

    variant: str
    seed: int
    benchmarks: Mapping[str, Any]
    items: Mapping[str, ItemScores]


@dataclass(frozen=True)
class Comparison:
    """One variant minus another on a metric, in points.

    Attributes:
        difference: Each item's mean over seeds, with the 95 % interval over groups of items.
        by_seed: The mean difference of each seed that both variants were measured under.
        items: How many were paired.
    """

    difference: Difference
    by_seed: Mapping[int, float]
    items: int


@dataclass(frozen=True)
class Finding:
    """What became of a claim on one metric.

    Attributes:
        compared: better minus worse; None where it was not measured.
        verdict: `holds` where the whole interval lies above zero and so does every seed,
            `reversed` where the whole interval lies below, `not shown` in between.
        reason: The likeliest reason where it does not hold, by what the scores tell; else "".
    """

    claim: Claim
    metric: str
    compared: Comparison | None
    verdict: Verdict
    reason: str


def read_scored(paths: Paths, variant: str, seed: int) -> Scored:
    """The scores that a variant's workspace holds."""
    items = read_all_items(paths.predictions)
    return Scored(variant, seed, read_json(paths.scores)["benchmarks"], items)


def judge_claims(claims: Sequence[Claim], found: Sequence[Scored]) -> list[Finding]:
    """Hold every metric of every claim against the scores, in the order of params.yaml."""
    return [judge_metric(claim, metric, found) for claim in claims for metric in claim.metrics]


def judge_metric(claim: Claim, metric: str, found: Sequence[Scored]) -> Finding:
    """Hold a claim against one metric, over the seeds that both variants were measured under."""
    compared = compare(claim.better, claim.worse, metric, found)
    verdict = _decide(compared)
    sides = [[one for one in found if one.variant == name] for name in (claim.better, claim.worse)]
    return Finding(claim, metric, compared, verdict, _explain(verdict, compared, metric, sides))


def compare(better: str, worse: str, metric: str, found: Sequence[Scored]) -> Comparison | None:
    """One variant minus another on `benchmark.metric`.

    Returns:
        None where no seed has both with the same items, or the metric is no mean over items.
    """
    sides = {(one.variant, one.seed): one for one in found}
    groups: dict[str, str] = {}
    differences: dict[str, list[float]] = {}
    by_seed: dict[int, float] = {}
    for seed in sorted({one.seed for one in found}):
        pair = [sides.get((name, seed)) for name in (better, worse)]
        ours, theirs = (side.items.get(metric, {}) if side else {} for side in pair)
        pairs = pair_items(ours, theirs)
        if pairs is None:
            continue
        by_seed[seed] = fmean(pairs.differences)
        for item, group, difference in zip(ours, *pairs, strict=True):
            groups[item] = group
            differences.setdefault(item, []).append(difference)
    if not by_seed:
        return None
    items = sorted(groups)
    means = [fmean(differences[item]) for item in items]
    difference = resample(Pairs([groups[item] for item in items], means))
    return Comparison(difference, by_seed, len(items))


def _decide(compared: Comparison | None) -> Verdict:
    if compared is None:
        return "not measured"
    if compared.difference.low > 0 and min(compared.by_seed.values()) > 0:
        return "holds"
    return "reversed" if compared.difference.high < 0 else "not shown"


def _explain(
    verdict: Verdict, compared: Comparison | None, metric: str, sides: Sequence[Sequence[Scored]]
) -> str:
    """The likeliest reason why a claim does not hold: a floor, a ceiling, noise, or none."""
    if verdict == "holds":
        return ""
    if compared is None:
        return "no seed has both with the same items"
    scores = [[_score(one, metric) for one in side] for side in sides]
    values = [fmean(score["value"] for score in side) for side in scores]
    if all(score["low"] <= (score["chance"] or 0) for side in scores for score in side):
        return f"neither is above chance ({values[0]:.1f} and {values[1]:.1f})"
    if min(values) >= CEILING:
        return f"both are near the ceiling ({values[0]:.1f} and {values[1]:.1f})"
    low, mean, high = compared.difference
    by_seed = compared.by_seed.values()
    if verdict == "reversed":
        every = "under every seed" if max(by_seed) < 0 else "in the mean over seeds"
        return f"the other way {every}: not an accident of the items"
    if low > 0:
        return f"seeds disagree ({min(by_seed):+.1f} to {max(by_seed):+.1f})"
    return (
        f"{compared.items} items show differences from about {(high - low) / 2:.1f} points on, "
        f"this one is {mean:+.1f}"
    )


def _score(side: Scored, metric: str) -> Mapping[str, Any]:
    benchmark, _, name = metric.partition(".")
    return side.benchmarks[benchmark]["metrics"][name]
