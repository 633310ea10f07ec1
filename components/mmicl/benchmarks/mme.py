"""MME: two yes/no questions a picture, fourteen sub-tasks; a score is 100 acc + 100 acc_plus.

The likeliest of yes and no is the answer, which is then read by the official rule. acc_plus is the
share of pictures with both answers right. The totals, perception and cognition, are given where
all their sub-tasks were asked.
"""

import json
from collections import Counter
from collections.abc import Iterable, Sequence

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
)
from mmicl.benchmarks.paper import list_published
from mmicl.benchmarks.scorers.mme import COGNITION, PERCEPTION, parse_answer
from mmicl.records import Example

SUBTASKS = (*PERCEPTION, *COGNITION)
Picture = tuple[str, str]
"""Sub-task and file name: the same photo serves several sub-tasks."""


def judge(items: Sequence[Item]) -> Columns:
    """Right or wrong per question, and per picture whether both are right."""
    examples = [item.example for item in items]
    right = [parse_answer(item.predictions[0].text) == item.example.target for item in items]
    both: dict[Picture, float] = {}
    for example, correct in zip(examples, right, strict=True):
        picture = name_picture(example)
        both[picture] = both.get(picture, 1.0) * correct
    return _columns(examples, np.array(right, float), both)


def guess(examples: Sequence[Example], _: Sequence[Example]) -> Columns:
    """A coin for each question."""
    questions = Counter(map(name_picture, examples))
    both = {picture: 0.5**count for picture, count in questions.items()}
    return _columns(examples, np.full(len(examples), 0.5), both)


def name_picture(example: Example) -> Picture:
    """The picture that a question's pair is about."""
    meta = json.loads(example.meta)
    return meta["subtask"], meta["image"]


def _columns(examples: Sequence[Example], right: np.ndarray, both: dict[Picture, float]) -> Columns:
    """Pooled and by sub-task; a picture's figures stand at its first question."""
    pictures = [name_picture(example) for example in examples]
    first: dict[Picture, int] = {}
    for place, picture in enumerate(pictures):
        first.setdefault(picture, place)
    counts = {
        "right": right, "n": np.ones(len(examples)), "both": np.zeros(len(examples)),
        "pictures": np.zeros(len(examples)),
    }  # fmt: skip
    for picture, place in first.items():
        counts["both"][place] = both[picture]
        counts["pictures"][place] = 1
    columns = dict(counts)
    for subtask in SUBTASKS:
        own = np.array([picture[0] == subtask for picture in pictures], float)
        columns |= {f"{name}_{subtask}": values * own for name, values in counts.items()}
    return columns


def _score(sums: Sums, subtask: str) -> np.ndarray:
    acc = divide(sums[f"right_{subtask}"], sums[f"n_{subtask}"])
    acc_plus = divide(sums[f"both_{subtask}"], sums[f"pictures_{subtask}"])
    return 100 * acc + 100 * acc_plus


def _total(subtasks: Iterable[str]) -> Metric:
    """The sum of sub-tasks' scores; one without questions is nan, and makes the total nan."""

    def formula(sums: Sums) -> np.ndarray:
        return np.sum([_score(sums, subtask) for subtask in subtasks], axis=0)

    return Metric(formula)


MME = Benchmark(
    name="mme",
    version="mme/calculation@dd29509",
    category="perception and cognition",
    task="mme",
    kind="yes_probability",
    scorer="mme",
    metrics={
        "accuracy": mean("right"),
        "accuracy_plus": mean("both", "pictures"),
        "perception": _total(PERCEPTION),
        "cognition": _total(COGNITION),
        **{f"score_{subtask}": _total([subtask]) for subtask in SUBTASKS},
    },
    headline=("accuracy", "accuracy_plus"),
    judge=judge,
    chance=guess,
    # MME has no training split; one of a picture's two answers is yes, so always yes is half right.
    constant=lambda _: Constant("yes", (0.0, 0.0)),
    licence="evaluation only, no commercial use (MME); photos of COCO and others",
    published=list_published("mme"),
)  # fmt: skip
