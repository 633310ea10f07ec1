"""MME, as its calculation.py scores: two yes/no questions a picture, 14 sub-tasks.

A sub-task's score is 100 * acc + 100 * acc_plus; acc_plus is the share of pictures with both
answers right. The rule is the one of the evaluation tool that BradyFU distributes (eval_tool.zip).
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

PERCEPTION = (
    "existence", "count", "position", "color", "posters", "celebrity", "scene", "landmark",
    "artwork", "OCR",
)  # fmt: skip
COGNITION = (
    "commonsense_reasoning", "numerical_calculation", "text_translation", "code_reasoning",
)  # fmt: skip
PICTURES = {
    "existence": 30, "count": 30, "position": 30, "color": 30, "posters": 147, "celebrity": 170,
    "scene": 200, "landmark": 200, "artwork": 200, "OCR": 20, "commonsense_reasoning": 70,
    "numerical_calculation": 20, "text_translation": 20, "code_reasoning": 20,
}  # fmt: skip
"""Sub-task -> how many pictures it has, as the templates of eval_tool.zip (Your_Results) list."""


@dataclass(frozen=True)
class Answer:
    """One line of a results file: picture, the right answer (Yes or No), the model's."""

    picture: str
    label: str
    prediction: str


def parse_answer(prediction: str) -> str:
    """`yes`, `no` or `other`, by what stands within the first four characters."""
    prediction = prediction.lower()
    if prediction in ("yes", "no"):
        return prediction
    beginning = prediction[:4]
    if "yes" in beginning:
        return "yes"
    return "no" if "no" in beginning else "other"


def score_subtask(answers: Sequence[Answer]) -> dict[str, float]:
    """Score one sub-task; lines 2k and 2k+1 must speak of the same picture.

    Returns:
        `score` (0 to 200), `acc` and `acc_plus` (shares), the confusion counts `TP`, `FN`, `TN` and
        `FP` with `precision` and `recall` over the answers that are yes or no (yes is positive; 0
        where not defined), `other_num` (answers that are neither).

    Raises:
        ValueError: Lines do not pair up, or a label is neither Yes nor No.
    """
    if len(answers) % 2:
        raise ValueError("an odd number of lines")
    right = both = 0
    counts: Counter[tuple[str, str]] = Counter()
    pairs = list(zip(answers[::2], answers[1::2], strict=True))
    for number, pair in enumerate(pairs):
        if pair[0].picture != pair[1].picture:
            raise ValueError(
                f"lines {2 * number + 1} and {2 * number + 2} speak of different pictures, "
                f"{pair[0].picture} and {pair[1].picture}"
            )
        correct = 0
        for line, answer in enumerate(pair, start=2 * number + 1):
            label = answer.label.lower()
            if label not in ("yes", "no"):
                raise ValueError(f"line {line}: the right answer is {answer.label!r}")
            parsed = parse_answer(answer.prediction)
            correct += parsed == label
            counts[label, parsed] += 1
        right += correct
        both += correct == 2
    acc, acc_plus = right / len(answers), both / len(pairs)
    return {
        "score": acc * 100 + acc_plus * 100,
        "acc": acc,
        "acc_plus": acc_plus,
        **_count_confusion(counts),
    }


def _count_confusion(counts: Counter[tuple[str, str]]) -> dict[str, float]:
    tp, fn = counts["yes", "yes"], counts["yes", "no"]
    tn, fp = counts["no", "no"], counts["no", "yes"]
    return {
        "TP": tp,
        "FN": fn,
        "TN": tn,
        "FP": fp,
        "precision": tp / (tp + fp) if tp + fp else 0.0,
        "recall": tp / (tp + fn) if tp + fn else 0.0,
        "other_num": counts["yes", "other"] + counts["no", "other"],
    }


def score(subtasks: Mapping[str, Sequence[Answer]]) -> dict[str, Any]:
    """The totals `perception` and `cognition`, each sub-task's score, and `subtasks` in detail.

    A total is given only where all its sub-tasks are there.

    Raises:
        ValueError: As `score_subtask`, with the sub-task's name.
    """
    details = {}
    for name in (*PERCEPTION, *COGNITION):
        if name in subtasks:
            try:
                details[name] = score_subtask(subtasks[name])
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from None
    totals = {
        total: _sum(details[name]["score"] for name in names)
        for total, names in {"perception": PERCEPTION, "cognition": COGNITION}.items()
        if set(names) <= set(details)
    }
    scores = {name: detail["score"] for name, detail in details.items()}
    return {**totals, **scores, "subtasks": details}


def _sum(values: Iterable[float]) -> float:
    """Add in order, as the official tool does; the last digits depend on it."""
    total: float = 0
    for value in values:
        total += value
    return total
