"""Claims against scores: paired differences over the items that two variants answered.

Nothing is chosen after the fact: variants, claims and metrics stand in params.yaml (`ablation`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import fmean, stdev
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
        reason: What the figures tell of it where it does not hold, causes only where they show
            one; else "".
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
        None where no seed has both with the same items.
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
    """What the figures tell of a claim that does not hold: a floor, a ceiling, noise, or nothing.

    A cause that they do not show is not named.
    """
    if verdict == "holds":
        return ""
    if compared is None:
        return "no seed has both with the same items"
    sides = [[one for one in side if one.seed in compared.by_seed] for side in sides]
    bound = _find_bound(metric, sides)
    if verdict == "reversed":
        return f"{bound or 'no reason is shown by these figures'}; {_tell_seeds(compared)}"
    return "; ".join(filter(None, (bound, _tell_noise(compared))))


def _find_bound(metric: str, sides: Sequence[Sequence[Scored]]) -> str:
    """Which variants lie beside their controls, or whether both are near the ceiling; else ""."""
    scores = [[_score(one, metric) for one in side] for side in sides]
    values = [fmean(score["value"] for score in side) for side in scores]
    bars = [[_find_bar(score) for score in side] for side in scores]
    beside = [
        place
        for place, side in enumerate(scores)
        if all(score["low"] <= bar for score, (_, bar) in zip(side, bars[place], strict=True))
    ]
    # Each control is an answer given without the pictures that are asked about.
    unused = "not shown to use the pictures"
    names = [{name for name, _ in side} for side in bars]
    if len(beside) == len(sides):
        named = " or ".join(sorted(set().union(*names)))
        return f"neither is above {named} ({values[0]:.1f} and {values[1]:.1f}): {unused}"
    if min(values) >= CEILING:
        return f"both are near the ceiling ({values[0]:.1f} and {values[1]:.1f})"
    return "; ".join(
        f"{sides[place][0].variant} ({values[place]:.1f}) is not above "
        f"{' or '.join(sorted(names[place]))}: {unused}"
        for place in beside
    )


def _find_bar(score: Mapping[str, Any]) -> tuple[str, float]:
    """The best control, chance among them, and its value; chance of 0 where there is none."""
    known = {"chance": score["chance"], **score.get("controls", {})}
    return max(((name, value or 0.0) for name, value in known.items()), key=lambda one: one[1])


def _tell_noise(compared: Comparison) -> str:
    """What keeps a difference from being shown: seeds that disagree, or too few items."""
    low, mean, high = compared.difference
    by_seed = compared.by_seed.values()
    if low > 0:
        return f"seeds disagree ({min(by_seed):+.1f} to {max(by_seed):+.1f})"
    return (
        f"{compared.items} items show differences from about {(high - low) / 2:.1f} points on, "
        f"this one is {mean:+.1f}"
    )


def _tell_seeds(compared: Comparison) -> str:
    """How many seeds agree with a reversal, and whether chance in training could have made it."""
    by_seed = list(compared.by_seed.values())
    if len(by_seed) == 1:
        return "one seed alone: an accident of training is not excluded"
    agree = sum(value < 0 for value in by_seed)
    low, high = interval_of_mean(by_seed)
    zero = "leaves zero out" if high < 0 else "holds zero"
    return (
        f"{agree} of {len(by_seed)} seeds agree, and the 95 % interval of their mean "
        f"[{low:+.1f}, {high:+.1f}] {zero}"
    )


def interval_of_mean(values: Sequence[float]) -> tuple[float, float]:
    """The 95 % interval of the mean of two values or more, by Student's t."""
    from scipy.stats import t as student

    half = float(student.ppf(0.975, len(values) - 1)) * stdev(values) / sqrt(len(values))
    return fmean(values) - half, fmean(values) + half


def _score(side: Scored, metric: str) -> Mapping[str, Any]:
    benchmark, _, name = metric.partition(".")
    return side.benchmarks[benchmark]["metrics"][name]
