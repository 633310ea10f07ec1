"""The gates before `champion`: each named score must clear its best control by a margin."""

from collections.abc import Mapping
from typing import Any

from mmicl.errors import DataError, UserError

UNRANKED = frozenset(
    {"yes_ratio", "yes_ratio_random", "yes_ratio_popular", "yes_ratio_adversarial", "mean_rank",
     "gap", "swap_pairs"}
)  # fmt: skip
"""Metrics that describe the answers, and of which more is not better."""


def judge(scores: Mapping[str, Any], margins: Mapping[str, float]) -> dict[str, Any]:
    """Hold scores against their gates.

    A score counts from its best control up (chance, majority answer, images blanked, images
    shuffled, text only), and with the lower end of its 95 % interval, so that luck does not open a
    gate.

    Args:
        scores: reports/scores.json.
        margins: `benchmark.metric` -> points that the lower bound must lie above the best control.

    Returns:
        `passed`, and per gate `passed`, `value`, `low`, `best_control`, `control` (its name),
        `margin`, and `lead` (low - best_control), in the metric's points.

    Raises:
        UserError: A margin names a score that was not measured.
        DataError: The score has no interval or no control.
    """
    gates = {key: _judge_one(key, scores, margin) for key, margin in sorted(margins.items())}
    return {"passed": all(gate["passed"] for gate in gates.values()), "gates": gates}


def find_score(scores: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """The part of reports/scores.json that `benchmark.metric` names.

    Raises:
        UserError: There is none.
    """
    benchmark, _, metric = key.partition(".")
    known = {
        f"{name}.{measured}": found
        for name, result in scores["benchmarks"].items()
        for measured, found in result["metrics"].items()
    }
    if key not in known:
        raise UserError(
            f"register.margins: no score {metric} of {benchmark} was measured",
            where=key,
            remedy=f"there are {', '.join(sorted(known))}",
        )
    return known[key]


def list_controls(score: Mapping[str, Any]) -> dict[str, float]:
    """Chance and the other controls of a score, without those that it does not have."""
    controls = {"chance": score["chance"], **score["controls"]}
    return {name: float(value) for name, value in controls.items() if value is not None}


def find_best_control(score: Mapping[str, Any]) -> tuple[str, float] | None:
    """Name and value of the control that a score counts from; None where it has no control."""
    controls = list_controls(score)
    if not controls:
        return None
    name = max(sorted(controls), key=controls.__getitem__)
    return name, controls[name]


def find_lead(metric: str, score: Mapping[str, Any]) -> float | None:
    """Points by which a score's lower bound lies above its best control.

    None where it has no interval or no control, or where more is not better.
    """
    best = find_best_control(score)
    if metric in UNRANKED or best is None or score["low"] is None:
        return None
    return score["low"] - best[1]


def _judge_one(key: str, scores: Mapping[str, Any], margin: float) -> dict[str, Any]:
    """Hold one score against its gate."""
    score = find_score(scores, key)
    best = find_best_control(score)
    if score["low"] is None or best is None:
        raise DataError(
            "a score without interval or controls passes no gate",
            where=f"reports/scores.json {key}",
            remedy="run the stage evaluate again",
        )
    control, value = best
    lead = score["low"] - value
    return {
        "passed": lead >= margin,
        "value": score["value"],
        "low": score["low"],
        "best_control": value,
        "control": control,
        "margin": margin,
        "lead": lead,
    }
