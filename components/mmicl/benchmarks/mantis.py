"""Mantis: short answers about one of several pictures by its number, and which of several it is.

The metric that the proxies stand or fall by is `swap`: the same pictures and the same question, put
to two of them by their numbers. It counts where each picture alone is answered right, so that the
right pair of answers says that the model looked at the picture that was meant.
"""

import json
from collections import Counter
from collections.abc import Sequence
from itertools import combinations

import numpy as np

from mmicl.benchmarks.benchmark import (
    Benchmark,
    Columns,
    Constant,
    Item,
    Metric,
    Sums,
    divide,
    mean,
    most_common,
)
from mmicl.benchmarks.scorers.exact import is_right, normalise
from mmicl.mic.scheme import REFERENCE
from mmicl.records import Example

CATEGORIES = ("proxy", "which", "single")


def judge(items: Sequence[Item]) -> Columns:
    """Equal but for case and spaces, by category; both questions of a pair right."""
    right = [is_right(item.predictions[0].text, item.requests[0].target) for item in items]
    return _columns([item.example for item in items], np.array(right, float))


def guess(examples: Sequence[Example], train: Sequence[Example]) -> Columns | None:
    """One of the pictures where that is asked, else an answer drawn from training's other ones."""
    drawn = Counter(normalise(one.target) for one in train if not REFERENCE.fullmatch(one.target))
    total = sum(drawn.values())
    if not total:
        return None
    right = [
        1 / len(example.images)
        if read_category(example) == "which"
        else drawn[normalise(example.target)] / total
        for example in examples
    ]
    return _columns(examples, np.array(right))


def constant(train: Sequence[Example]) -> Constant:
    """The most common answer that is no picture; of those, `guess` knows as much."""
    return Constant(
        most_common([one.target for one in train if not REFERENCE.fullmatch(one.target)])
    )


def read_category(example: Example) -> str:
    """The official category of an item, "" of none."""
    return json.loads(example.meta).get("category", "")


def find_pairs(examples: Sequence[Example]) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Pairs of proxy items that differ in the number alone, each with its two single items.

    All four are places in `examples`. A pair whose answers are equal cannot show a swap, and one
    whose pictures were not asked about alone cannot be counted; neither is there.
    """
    alone: dict[tuple[str, str], int] = {}
    asked: dict[tuple[tuple[str, ...], str], list[tuple[int, str]]] = {}
    for place, example in enumerate(examples):
        category, numbers = read_category(example), REFERENCE.findall(example.question)
        if len(numbers) != 1:
            continue
        question, shown = (
            REFERENCE.sub("<image>", example.question),
            example.images[int(numbers[0])],
        )
        if category == "single":
            alone[shown, question] = place
        elif category == "proxy":
            asked.setdefault((example.images, question), []).append((place, shown))
    return [
        ((one, other), (alone[shown, question], alone[beside, question]))
        for (_, question), places in asked.items()
        for (one, shown), (other, beside) in combinations(places, 2)
        if normalise(examples[one].target) != normalise(examples[other].target)
        and {(shown, question), (beside, question)} <= alone.keys()
    ]


def _columns(examples: Sequence[Example], right: np.ndarray) -> Columns:
    """`right` is 0 or 1 of answers, a probability of guesses; a pair stands at its first item."""
    columns: Columns = {}
    categories = [read_category(example) for example in examples]
    for name in CATEGORIES:
        own = np.array([category == name for category in categories], float)
        columns |= {name: right * own, f"n_{name}": own}
    columns |= {name: np.zeros(len(examples)) for name in ("swap", "swap_pairs")}
    for (one, other), (first, second) in find_pairs(examples):
        understood = right[first] * right[second]
        columns["swap_pairs"][one] += understood
        columns["swap"][one] += understood * right[one] * right[other]
    return columns


def _swap(sums: Sums) -> np.ndarray:
    """No mean over items: which pairs count depends on what the model answers."""
    return 100 * divide(sums["swap"], sums["swap_pairs"])


MANTIS = Benchmark(
    name="mantis",
    version="mantis/exact-match/swap-of-both-singles",
    category="several images",
    task="multi",
    kind="generate",
    scorer="exact",
    metrics={
        **{name: mean(name, f"n_{name}") for name in CATEGORIES},
        "swap": Metric(_swap),
        # How many pairs `swap` is the share of.
        "swap_pairs": Metric(lambda sums: np.asarray(sums["swap_pairs"], float), ranked=False),
    },
    headline=("proxy", "which", "swap"),
    judge=judge,
    chance=guess,
    constant=constant,
    licence="Apache-2.0; pictures under the terms of the sets that they are from",
)
