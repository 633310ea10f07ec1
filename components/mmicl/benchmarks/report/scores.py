"""Scores as the report shows them: beside their controls, in the order of the categories."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from mmicl.benchmarks.benchmark import Benchmark, Published
from mmicl.benchmarks.runner import Result


class Control(NamedTuple):
    """A control's name and value."""

    name: str
    value: float


class Score(NamedTuple):
    """One metric of one benchmark, in points; `best` is its best control.

    Where more is not better (`ranked` is false) there is neither a best control nor a lead; `draws`
    are those of the worked examples, None where there was one. `published` are figures of this
    metric with as many worked examples.
    """

    benchmark: str
    metric: str
    category: str
    n: int
    shots: int
    headline: bool
    ranked: bool
    value: float
    low: float
    high: float
    chance: float | None
    controls: Mapping[str, float | None]
    best: Control | None
    draws: Mapping[str, Any] | None
    published: tuple[Published, ...]

    @property
    def label(self) -> str:
        """Benchmark and metric."""
        return f"{self.benchmark} {self.metric}"

    @property
    def lead(self) -> float | None:
        """The lower bound of the interval above the best control."""
        return None if self.best is None else self.low - self.best.value

    @property
    def nearest(self) -> Published | None:
        """The best figure that MMICL's authors give of their own models, None where there is none.

        The first one where more is not better.
        """
        own = [one for one in self.published if one.system.startswith("MMICL")]
        if not self.ranked:
            own = own[:1]
        return max(own, key=lambda one: one.value, default=None)


def list_scores(results: Mapping[str, Result], declared: Mapping[str, Benchmark]) -> list[Score]:
    """Every score, by category, benchmark and the benchmark's own order of metrics."""
    scores = [
        _read(name, metric, result.report, declared[name])
        for name, result in results.items()
        for metric in declared[name].metrics
        if metric in result.report["metrics"]
    ]
    return sorted(scores, key=lambda score: (score.category, score.benchmark))


def _read(name: str, metric: str, report: Mapping[str, Any], benchmark: Benchmark) -> Score:
    found, ranked = report["metrics"][metric], benchmark.metrics[metric].ranked
    controls = {"chance": found["chance"], **found["controls"]}
    known = [Control(key, value) for key, value in controls.items() if value is not None]
    return Score(
        benchmark=name, metric=metric, category=benchmark.category, n=report["n"],
        shots=report["shots"], headline=metric in benchmark.headline, ranked=ranked,
        value=found["value"], low=found["low"], high=found["high"], chance=found["chance"],
        controls=found["controls"],
        best=max(known, key=lambda one: one.value) if known and ranked else None,
        draws=found.get("draws"),
        published=tuple(
            one for one in benchmark.published
            if (one.metric, one.shots) == (metric, report["shots"])
        ),
    )  # fmt: skip
