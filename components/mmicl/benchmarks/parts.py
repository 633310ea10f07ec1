"""What many benchmarks share: items that earn 0 to 1, over all and over named parts of them.

`Written` is for answers that the model writes, `Likeliest` for options of which it finds one the
likeliest, `Judged` for one of two answers. Each is a rule, of which `declare` makes a benchmark.
"""

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from mmicl.benchmarks.benchmark import (
    Benchmark,
    Columns,
    Constant,
    Item,
    Metric,
    Published,
    mean,
    most_common,
)
from mmicl.benchmarks.scorers import exact
from mmicl.benchmarks.scorers.choice import credit
from mmicl.mic.queries import Query, expand
from mmicl.records import Example, RequestKind, Split

Parts = Mapping[str, Callable[[Example], bool]]
"""Name of a part -> whether an item belongs to it."""


class Rule(Protocol):
    """How answers are judged, and what is known without looking; see `Benchmark`."""

    @property
    def metrics(self) -> Mapping[str, Metric]:
        """By name."""
        ...

    def judge(self, items: Sequence[Item], /) -> Columns:
        """Answered items -> columns."""
        ...

    def guess(self, examples: Sequence[Example], train: Sequence[Example], /) -> Columns | None:
        """Chance."""
        ...

    def constant(self, train: Sequence[Example], /) -> Constant:
        """The best answer that can be given without looking."""
        ...


def declare(
    rule: Rule,
    *,
    name: str,
    version: str,
    category: str,
    task: str,
    kind: RequestKind,
    scorer: str,
    headline: tuple[str, ...],
    licence: str,
    published: Sequence[Published] = (),
    split: Split = "test",
    ask: Callable[[Example], list[Query]] = expand,
    reader: str = "",
    recast: Callable[[Example], Example | None] = lambda example: example,
    not_computed: Callable[[Sequence[Example]], Mapping[str, str]] = lambda _: {},
) -> Benchmark:
    """A benchmark that is judged by a rule; the rest as in `Benchmark`."""
    return Benchmark(
        name=name, version=version, category=category, task=task, kind=kind, scorer=scorer,
        metrics=rule.metrics, headline=headline, judge=rule.judge, chance=rule.guess,
        constant=rule.constant, licence=licence, published=published, split=split, ask=ask,
        reader=reader, recast=recast, not_computed=not_computed,
    )  # fmt: skip


def read_meta(example: Example, key: str) -> Any:
    """An official field of an Example, None where it has none."""
    return json.loads(example.meta).get(key)


def need(figures: str, key: str, file: str) -> Callable[[Sequence[Example]], Mapping[str, str]]:
    """`not_computed` of figures that need an official field: it comes from an optional file.

    Args:
        figures: What is left out without it.
        key: The field, in the meta of those Examples that have it.
        file: As a person would name it.
    """

    def check(examples: Sequence[Example]) -> Mapping[str, str]:
        there = any(read_meta(example, key) is not None for example in examples)
        return {} if there else {figures: f"needs {file} when the dataset is read"}

    return check


def part_by(key: str, names: Mapping[str, str]) -> Parts:
    """Parts by a field of the Example's meta: its official value -> the part's name."""

    def belongs(official: str) -> Callable[[Example], bool]:
        return lambda example: read_meta(example, key) == official

    return {name: belongs(official) for official, name in names.items()}


def tally(examples: Sequence[Example], values: Sequence[float], parts: Parts) -> Columns:
    """What each item earned, over all and by part."""
    right = np.array(values, float)
    columns = {"right": right, "n": np.ones(len(right))}
    for name, belongs in parts.items():
        own = np.array([belongs(example) for example in examples], float)
        columns |= {f"right_{name}": right * own, f"n_{name}": own}
    return columns


def measure(name: str, parts: Parts) -> dict[str, Metric]:
    """The mean of what `tally` counted, over all and by part (`name_part`)."""
    by_part = {f"{name}_{part}": mean(f"right_{part}", f"n_{part}") for part in parts}
    return {name: mean("right"), **by_part}


@dataclass(frozen=True)
class Written:
    """Answers that the model writes.

    Attributes:
        credit: What an answer to an Example earns, 0 to 1, by the official rule.
        normalise: What makes two answers one, for counting those of the training split.
        parts: Of the items.
        name: Of the metric.
    """

    credit: Callable[[str, Example], float]
    normalise: Callable[[str], str] = exact.normalise
    parts: Parts = field(default_factory=dict)
    name: str = "accuracy"

    @property
    def metrics(self) -> dict[str, Metric]:
        """Over all and by part."""
        return measure(self.name, self.parts)

    def judge(self, items: Sequence[Item]) -> Columns:
        """What each answer earned."""
        values = [self.credit(item.predictions[0].text, item.example) for item in items]
        return tally([item.example for item in items], values, self.parts)

    def guess(self, examples: Sequence[Example], train: Sequence[Example]) -> Columns | None:
        """An answer drawn from the training split's; near misses earn nothing.

        None where there is no training split.
        """
        drawn = Counter(self.normalise(example.target) for example in train)
        total = sum(drawn.values())
        if not total:
            return None
        values = []
        for example in examples:
            known = {self.normalise(text): text for text in (*example.answers, example.target)}
            values.append(
                sum(drawn[key] / total * self.credit(text, example) for key, text in known.items())
            )
        return tally(examples, values, self.parts)

    def constant(self, train: Sequence[Example]) -> Constant:
        """The training split's most common answer."""
        return Constant(most_common([example.target for example in train]))


def earn_exact(text: str, example: Example) -> float:
    """1 where an answer is the target but for case and spaces."""
    return float(exact.is_right(text, example.target))


@dataclass(frozen=True)
class Likeliest:
    """Options of which the model finds one the likeliest; those that tie share the credit."""

    parts: Parts = field(default_factory=dict)

    @property
    def metrics(self) -> dict[str, Metric]:
        """Over all and by part."""
        return measure("accuracy", self.parts)

    def judge(self, items: Sequence[Item]) -> Columns:
        """Whether the right option is the likeliest."""
        values = [credit(item.predictions[0].scores, item.example.answer_index) for item in items]
        return tally([item.example for item in items], values, self.parts)

    def guess(self, examples: Sequence[Example], _: Sequence[Example]) -> Columns:
        """One of the options at random."""
        return tally(examples, [1 / len(example.choices) for example in examples], self.parts)

    def constant(self, train: Sequence[Example]) -> Constant:
        """The option at the place where the training split's right ones stand most often.

        Where a question has fewer options, that answer is wrong.
        """
        place = int(most_common([str(example.answer_index) for example in train]) or 0)
        return Constant(str(place), tuple(float(number == place) for number in range(place + 1)))


@dataclass(frozen=True)
class Judged:
    """One of two answers, such as yes and no or true and false."""

    parts: Parts = field(default_factory=dict)

    @property
    def metrics(self) -> dict[str, Metric]:
        """Over all and by part."""
        return measure("accuracy", self.parts)

    def judge(self, items: Sequence[Item]) -> Columns:
        """Whether the likelier answer is the right one."""
        values = [earn_exact(item.predictions[0].text, item.example) for item in items]
        return tally([item.example for item in items], values, self.parts)

    def guess(self, examples: Sequence[Example], _: Sequence[Example]) -> Columns:
        """A coin."""
        return tally(examples, [0.5] * len(examples), self.parts)

    def constant(self, train: Sequence[Example]) -> Constant:
        """The training split's more common answer, yes of none."""
        return Constant(most_common([example.target for example in train]) or "yes", (0.0, 0.0))
