"""Whether a new version becomes the champion: its gates, and a comparison with the present one.

The bar is that of `register.margins`: the metrics named there decide, and each of them must not be
lost. Where both versions answered the same questions of a benchmark
(same items, pictures and right answers), the comparison is paired: the
mean difference of the items' scores, resampled by group (items that share an image or a puzzle
stand or fall together), loses when its whole 95 % interval lies below zero. Otherwise the plain
values are compared, and the lower one loses.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from mmicl.tracking.pairs import ITEMS, Pairs, pair_items, read_items, resample


@dataclass(frozen=True)
class Entrant:
    """One side of the comparison. `None` is what its artifacts do not hold any more."""

    name: str
    gates: Mapping[str, Any] | None
    scores: Mapping[str, Any] | None
    """benchmark -> its part of reports/scores.json."""
    predictions: Path | None
    """A copy of reports/predictions."""


@dataclass(frozen=True)
class Verdict:
    """Whether the new version becomes champion, and why, in a sentence."""

    wins: bool
    why: str


def challenge(new: Entrant, champion: Entrant | None) -> Verdict:
    """Decide whether `new` becomes champion.

    Args:
        new: The new version.
        champion: The present champion; None where there is none.
    """
    if new.gates is None or new.scores is None:
        return Verdict(False, f"{new.name} is no champion: its scores are gone")
    failed = [key for key, gate in new.gates["gates"].items() if not gate["passed"]]
    if failed:
        return Verdict(False, f"{new.name} is no champion: gate {', '.join(failed)} not passed")
    if champion is None:
        return Verdict(True, f"{new.name} is champion: it passes every gate, and is the first")
    findings = []
    for key in new.gates["gates"]:
        finding = _compare(key, new, champion)
        if finding is not None and not finding.wins:
            return Verdict(False, f"{new.name} is no champion: {finding.why}")
        findings.append(f"{key} cannot be compared" if finding is None else finding.why)
    text = "; ".join(findings) or "there is no gate to compare by"
    return Verdict(True, f"{new.name} is champion: it passes every gate and does not lose: {text}")


def _compare(key: str, new: Entrant, champion: Entrant) -> Verdict | None:
    """Hold one metric of two versions against each other; None where they share no measurement."""
    benchmark, _, metric = key.partition(".")
    ours, theirs = ((side.scores or {}).get(benchmark) for side in (new, champion))
    if ours is None or theirs is None or ours["version"] != theirs["version"]:
        return None
    if metric not in theirs["metrics"]:
        return None
    pairs = _pair(benchmark, metric, new.predictions, champion.predictions)
    if pairs is not None:
        low, mean, high = resample(pairs)
        text = f"{key} {mean:+.2f} [{low:+.2f}, {high:+.2f}] against {champion.name}, paired"
        return Verdict(high >= 0, text)
    value, bar = ours["metrics"][metric]["value"], theirs["metrics"][metric]["value"]
    return Verdict(value >= bar, f"{key} {value:.2f} against {bar:.2f} of {champion.name}")


def _pair(benchmark: str, metric: str, new: Path | None, champion: Path | None) -> Pairs | None:
    """The items that both answered, or None unless they are the same ones."""
    if new is None or champion is None or not all((f / ITEMS).exists() for f in (new, champion)):
        return None
    ours, theirs = (read_items(folder, benchmark, metric) for folder in (new, champion))
    if _read_questions(new, benchmark) != _read_questions(champion, benchmark):
        return None
    return pair_items(ours, theirs)


def _read_questions(folder: Path, benchmark: str) -> set[tuple[str, tuple[str, ...], str]]:
    """What was asked: item, pictures by content, right answer. Prompts are a version's own."""
    columns = ["item", "images", "target"]
    table = pq.read_table(
        folder / f"{benchmark}.parquet", filters=[("control", "==", "")], columns=columns
    )
    return {(row["item"], tuple(row["images"]), row["target"]) for row in table.to_pylist()}
