"""IconQA: accuracy by sub-task and by skill, as lupantech/IconQA tools/sub_acc.py @ bcb414c.

An answer (the number of a choice, or what is filled in) must be equal as text.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

TASKS = ("choose_img", "choose_txt", "fill_in_blank")
SKILLS = (
    "geometry", "counting", "comparing", "spatial", "scene", "pattern", "time", "fraction",
    "estimation", "algebra", "measurement", "commonsense", "probability",
)  # fmt: skip


@dataclass(frozen=True)
class Problem:
    """A problem's sub-task, skills and right answer as text."""

    task: str
    skills: Sequence[str]
    answer: str


def score(predictions: Mapping[str, str], problems: Mapping[str, Problem]) -> dict[str, float]:
    """Accuracies in percent with two decimals; parts without problems are left out."""
    hits: dict[str, list[bool]] = defaultdict(list)
    for key, problem in problems.items():
        right = predictions[key] == problem.answer
        for name in ("TotalAcc", problem.task, *problem.skills):
            hits[name].append(right)
    return {
        name: float(f"{100 * sum(hits[name]) / len(hits[name]):.2f}")
        for name in ("TotalAcc", *TASKS, *SKILLS)
        if hits[name]
    }
