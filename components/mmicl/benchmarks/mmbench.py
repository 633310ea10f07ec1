"""MMBench: multiple choice over twenty abilities, each question in every rotation of its options.

A question is right if every rotation of it that was asked is (circular evaluation); its figures
stand at its first row. The likeliest option is the answer, so no choice has to be read out of a
text. `accuracy_vanilla` counts every row for itself.
"""

from collections.abc import Sequence

import numpy as np

from mmicl.benchmarks.benchmark import Benchmark, Columns, Item, mean
from mmicl.benchmarks.paper import list_published
from mmicl.benchmarks.parts import Likeliest, read_meta
from mmicl.benchmarks.scorers.mmbench import ABILITIES
from mmicl.records import Example

ROTATION = 1_000_000
"""Row k + r * ROTATION is rotation r of question k."""
RULE = Likeliest()
PARTS = {official: name.replace("-", "_") for official, name in ABILITIES.items()}


def judge(items: Sequence[Item]) -> Columns:
    """Right or wrong per row, and per question whether all of its rows are right."""
    rows = RULE.judge(items)
    return _columns([item.example for item in items], rows)


def guess(examples: Sequence[Example], train: Sequence[Example]) -> Columns:
    """An option at random, drawn anew for every rotation."""
    return _columns(examples, RULE.guess(examples, train))


def _columns(examples: Sequence[Example], rows: Columns) -> Columns:
    questions = [int(read_meta(example, "index")) % ROTATION for example in examples]
    whole: dict[int, float] = {}
    for question, right in zip(questions, rows["right"], strict=True):
        whole[question] = whole.get(question, 1.0) * right
    columns = {**rows, "whole": np.zeros(len(examples)), "questions": np.zeros(len(examples))}
    for question, right in whole.items():
        place = questions.index(question)
        columns["whole"][place], columns["questions"][place] = right, 1
    abilities = [read_meta(example, "l2_category") for example in examples]
    for official, name in PARTS.items():
        own = np.array([ability == official for ability in abilities], float)
        columns |= {f"{key}_{name}": columns[key] * own for key in ("whole", "questions")}
    return columns


MMBENCH = Benchmark(
    name="mmbench",
    version="mmbench/circular/likeliest-option",
    category="perception and cognition",
    task="choice",
    kind="candidates",
    scorer="choice",
    metrics={
        "accuracy": mean("whole", "questions"),
        "accuracy_vanilla": mean("right"),
        **{f"accuracy_{name}": mean(f"whole_{name}", f"questions_{name}")
           for name in PARTS.values()},
    },
    headline=("accuracy",),
    judge=judge,
    chance=guess,
    constant=RULE.constant,
    licence="CC BY-NC-SA 4.0 (Apache-2.0 code)",
    published=list_published("mmbench"),
    split="val",
)  # fmt: skip
