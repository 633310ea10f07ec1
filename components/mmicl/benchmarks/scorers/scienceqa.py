"""ScienceQA: accuracy by subject, context and grade (lupantech/ScienceQA, evaluate_acc.py).

Beside the official parts those without a picture, and the split by which MMICL's paper measures
language bias: the problems whose picture is needed, those whose picture is not, and the gap.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

_LOW = {f"grade{number}" for number in range(1, 7)}
_HIGH = {f"grade{number}" for number in range(7, 13)}


@dataclass(frozen=True)
class Problem:
    """A test problem; `hint` and `image` are whether there is one, None is not known."""

    subject: str
    grade: str
    hint: bool
    image: bool
    answer: int
    needs_image: bool | None = None


_PARTS: dict[str, Callable[[Problem], bool]] = {
    "acc_natural": lambda problem: problem.subject == "natural science",
    "acc_social": lambda problem: problem.subject == "social science",
    "acc_language": lambda problem: problem.subject == "language science",
    "acc_has_text": lambda problem: problem.hint,
    "acc_has_image": lambda problem: problem.image,
    "acc_no_context": lambda problem: not problem.hint and not problem.image,
    "acc_grade_1_6": lambda problem: problem.grade in _LOW,
    "acc_grade_7_12": lambda problem: problem.grade in _HIGH,
    "acc_average": lambda problem: True,
    "acc_no_image": lambda problem: not problem.image,
    "acc_visual_need": lambda problem: problem.needs_image is True,
    "acc_no_visual_need": lambda problem: problem.needs_image is False,
}


def score(predictions: Mapping[str, int], problems: Mapping[str, Problem]) -> dict[str, float]:
    """Accuracies in percent with two decimals; parts without problems are left out."""
    scores = {}
    for name, belongs in _PARTS.items():
        right = [predictions[key] == one.answer for key, one in problems.items() if belongs(one)]
        if right:
            scores[name] = float(f"{sum(right) / len(right) * 100:.2f}")
    if {"acc_visual_need", "acc_no_visual_need"} <= scores.keys():
        gap = scores["acc_no_visual_need"] - scores["acc_visual_need"]
        scores["gap"] = round(gap, 2)
    return scores


def count_parts(problems: Mapping[str, Problem]) -> dict[str, int]:
    """How many problems each accuracy is over."""
    return {
        name: count
        for name, belongs in _PARTS.items()
        if (count := sum(map(belongs, problems.values())))
    }
