"""Claims against scores: paired differences over the items that two variants answered.

Nothing is chosen after the fact: variants, claims and metrics stand in params.yaml (`ablation`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
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
    read_items,
    resample,
)

Verdict = Literal["holds", "not shown", "reversed", "not measured"]


@dataclass(frozen=True)
class Scored:
    """A variant under one seed: reports/scores.json, and the folder reports/predictions."""

    variant: str
    seed: int
    benchmarks: Mapping[str, Any]
    predictions: Path


@dataclass(frozen=True)
class Finding:
    """What became of a claim on one metric.

    Attributes:
        difference: better minus worse in points, each item's mean over seeds, with the interval
            over groups of items; None where it was not measured.
        by_seed: The mean difference of each seed that both variants were measured under.
        verdict: `holds` where the whole interval lies above zero and so does every seed,
            `reversed` where the whole interval lies below, `not shown` in between.
    """

    claim: Claim
    metric: str
    difference: Difference | None
    by_seed: Mapping[int, float]
    verdict: Verdict


def read_scored(paths: Paths, variant: str, seed: int) -> Scored:
    """The scores that a variant's workspace holds."""
    return Scored(variant, seed, read_json(paths.scores)["benchmarks"], paths.predictions)


def judge_claims(claims: Sequence[Claim], found: Sequence[Scored]) -> list[Finding]:
    """Hold every metric of every claim against the scores, in the order of params.yaml."""
    return [judge_metric(claim, metric, found) for claim in claims for metric in claim.metrics]


def judge_metric(claim: Claim, metric: str, found: Sequence[Scored]) -> Finding:
    """Hold a claim against one metric, over the seeds that both variants were measured under."""
    sides = {(one.variant, one.seed): one for one in found}
    groups: dict[str, str] = {}
    differences: dict[str, list[float]] = {}
    by_seed: dict[int, float] = {}
    for seed in sorted({one.seed for one in found}):
        better, worse = (sides.get((name, seed)) for name in (claim.better, claim.worse))
        if better is None or worse is None:
            continue
        ours, theirs = (_read(side, metric) for side in (better, worse))
        pairs = pair_items(ours, theirs)
        if pairs is None:
            continue
        by_seed[seed] = resample(pairs).mean
        for item, group, difference in zip(ours, *pairs, strict=True):
            groups[item] = group
            differences.setdefault(item, []).append(difference)
    if not by_seed:
        return Finding(claim, metric, None, {}, "not measured")
    items = sorted(groups)
    means = [fmean(differences[item]) for item in items]
    difference = resample(Pairs([groups[item] for item in items], means))
    return Finding(claim, metric, difference, by_seed, _decide(difference, by_seed))


def _read(side: Scored, metric: str) -> ItemScores:
    benchmark, _, name = metric.partition(".")
    return read_items(side.predictions, benchmark, name)


def _decide(difference: Difference, by_seed: Mapping[int, float]) -> Verdict:
    if difference.low > 0 and min(by_seed.values()) > 0:
        return "holds"
    return "reversed" if difference.high < 0 else "not shown"
