"""WebSRC: questions about screenshots of web pages, by exact match and F1 of the words.

The path overlap needs the page's elements, which no answer in words names.
"""

from collections.abc import Sequence

from mmicl.benchmarks.benchmark import Benchmark, Columns, Item, mean
from mmicl.benchmarks.paper import list_published
from mmicl.benchmarks.parts import Written
from mmicl.benchmarks.scorers import websrc
from mmicl.records import Example


def earn_exact(text: str, example: Example) -> float:
    """1 where the answer is the annotated one, as SQuAD compares."""
    return float(websrc.exact(example.target, text))


def earn_f1(text: str, example: Example) -> float:
    """The overlap of the words."""
    return websrc.f1(example.target, text)


EXACT = Written(earn_exact, websrc.normalise)
F1 = Written(earn_f1, websrc.normalise)


def judge(items: Sequence[Item]) -> Columns:
    """Exact match and F1 of each answer."""
    return {**EXACT.judge(items), "f1": F1.judge(items)["right"]}


def guess(examples: Sequence[Example], train: Sequence[Example]) -> Columns | None:
    """An answer drawn from the training split's; overlaps of other answers are left out."""
    exact, overlap = EXACT.guess(examples, train), F1.guess(examples, train)
    return {**exact, "f1": overlap["right"]} if exact and overlap else None


WEBSRC = Benchmark(
    name="websrc",
    version="websrc/utils_evaluate@a9f1c29",
    category="web QA",
    task="vqa",
    kind="generate",
    scorer="websrc",
    metrics={"exact": mean("right"), "f1": mean("f1")},
    headline=("exact", "f1"),
    judge=judge,
    chance=guess,
    constant=EXACT.constant,
    licence="CC BY 4.0; pages under their websites' terms",
    published=list_published("websrc"),
    split="val",
)
