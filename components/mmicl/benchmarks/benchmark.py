"""What a benchmark declares: how it is asked, judged, and what it is held against.

Judging gives numbers per item (columns) whose sums make every metric. So the plain value, its
bootstrap interval, chance and the controls all come from the same formula.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mmicl.mic.queries import Query, expand
from mmicl.records import Example, Prediction, Request, RequestKind, Split

PAPER = "MMICL, arXiv 2309.07915"
Columns = dict[str, np.ndarray]
"""Column -> one number per item, float64 [items]."""
Sums = Mapping[str, np.ndarray]
"""Column -> its sum over items: a scalar, or [resamples]."""


@dataclass(frozen=True)
class Item:
    """An Example with its requests and their predictions, in the order of `Benchmark.ask`."""

    example: Example
    requests: tuple[Request, ...]
    predictions: tuple[Prediction, ...]


@dataclass(frozen=True)
class Constant:
    """An answer given to every request, whatever it asks."""

    text: str
    scores: tuple[float, ...] = ()


@dataclass(frozen=True)
class Metric:
    """One figure in points (0 to 100 where it is a share).

    Attributes:
        formula: From column sums to points; nan where nothing was counted.
        ratio: Numerator and denominator columns where the formula is their mean over items, so
            that an item has a value of its own.
        ranked: Whether more is better.
    """

    formula: Callable[[Sums], np.ndarray]
    ratio: tuple[str, str] | None = None
    ranked: bool = True


def mean(numerator: str, denominator: str = "n") -> Metric:
    """The metric 100 * numerator / denominator."""

    def formula(sums: Sums) -> np.ndarray:
        return 100 * divide(sums[numerator], sums[denominator])

    return Metric(formula, (numerator, denominator))


def divide(numerator: Any, denominator: Any, otherwise: float = float("nan")) -> np.ndarray:
    """Element-wise quotient; `otherwise` where the denominator is 0."""
    numerator, denominator = np.broadcast_arrays(
        np.asarray(numerator, float), np.asarray(denominator, float)
    )
    out = np.full(numerator.shape, otherwise)
    return np.divide(numerator, denominator, out=out, where=denominator != 0)


@dataclass(frozen=True)
class Published:
    """A published figure, in our metric's points.

    Attributes:
        system: Model and setting.
        metric: One of the benchmark's `metrics`.
        value: As printed.
        verified: Whether it was checked against its source's own table, or by arithmetic that ties
            it to other sources.
        note: What to know before comparing.
        source: Where it is printed.
        shots: Worked examples before each question.
    """

    system: str
    metric: str
    value: float
    verified: bool
    note: str = ""
    source: str = PAPER
    shots: int = 0


@dataclass(frozen=True)
class Benchmark:
    """One benchmark.

    Attributes:
        name: As in params `evaluate.benchmarks`.
        version: Changes whenever scores of before and after cannot be compared.
        category: The family that the report shows it in, in the paper's words where it has some.
        task: What its Examples must be (key of the instruction bank).
        kind: How a model is asked.
        scorer: The module of `mmicl.benchmarks.scorers` by whose rule an answer is right.
        metrics: By name; those with nothing to count are left out of a report.
        headline: Those that a table for a person shows.
        judge: Answered items -> columns, by the official rule.
        chance: Examples to be answered and the training split -> columns as expected of a model
            that guesses; None where there is no such level. The docstring's first sentence says
            how it guesses (docs/benchmarks.md).
        constant: The training split -> the best answer that can be given without looking, for the
            control `majority`.
        licence: Of questions and pictures.
        published: Figures to hold beside ours.
        split: Which rows are asked where the dataset has none of the test split: the split that
            is reported where the official test answers are not public.
        ask: An Example's questions, where they are not those of training.
        reader: Whose Examples it asks, where that is not the reader of its own name.
        recast: An Example as it is asked and as it is shown as a worked example, where that is not
            as it was read; None where the official score leaves it out.
        not_computed: Asked Examples -> figures that they do not allow, and what those need.
    """

    name: str
    version: str
    category: str
    task: str
    kind: RequestKind
    scorer: str
    metrics: Mapping[str, Metric]
    headline: tuple[str, ...]
    judge: Callable[[Sequence[Item]], Columns]
    chance: Callable[[Sequence[Example], Sequence[Example]], Columns | None]
    constant: Callable[[Sequence[Example]], Constant]
    licence: str
    published: Sequence[Published] = field(default=())
    split: Split = "test"
    ask: Callable[[Example], list[Query]] = expand
    reader: str = ""
    recast: Callable[[Example], Example | None] = lambda example: example
    not_computed: Callable[[Sequence[Example]], Mapping[str, str]] = lambda _: {}


def most_common(values: Sequence[str]) -> str:
    """The most common value; the first in alphabetical order among equals, "" of none."""
    counts: dict[str, int] = {}
    for value in values:
        counts[value] = counts.get(value, 0) + 1
    return min(counts, key=lambda value: (-counts[value], value), default="")


def yes_margin(prediction: Prediction) -> float:
    """How much likelier yes is than no, as a difference of log-likelihoods."""
    return prediction.scores[0] - prediction.scores[1]
