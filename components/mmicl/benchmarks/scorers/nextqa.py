"""NExT-QA, multiple choice, as doc-doc/NExT-QA eval_mc.py: accuracy per question type, percent."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

OPTIONS = 5
TYPES = ("CW", "CH", "TN+TP", "TC", "DC", "DL", "DO")
_MERGED = {"TN": "TN+TP", "TP": "TN+TP"}
_CATEGORIES = {"Acc_C": "C", "Acc_T": "T", "Acc_D": "D"}


@dataclass(frozen=True)
class Question:
    """A question: `video_qid`, its type, the number of the right option."""

    id: str
    type: str
    answer: int


def score(predictions: Mapping[str, int], references: Iterable[Question]) -> dict[str, float]:
    """Accuracies in percent with two decimals, by type, by kind (causal, temporal, …) and overall.

    Questions about the previous and the next action (TP, TN) are one type. Types without questions
    are left out.
    """
    right: dict[str, int] = dict.fromkeys(TYPES, 0)
    total: dict[str, int] = dict.fromkeys(TYPES, 0)
    for question in references:
        kind = _MERGED.get(question.type, question.type)
        total[kind] += 1
        right[kind] += predictions[question.id] == question.answer
    groups: dict[str, list[str]] = {kind: [kind] for kind in TYPES}
    for name, letter in _CATEGORIES.items():
        groups[name] = [kind for kind in TYPES if kind[0] == letter]
    groups["Acc"] = list(TYPES)
    scores = {}
    for name, kinds in groups.items():
        count = sum(total[kind] for kind in kinds)
        if count:
            share = sum(right[kind] for kind in kinds) * 100.0 / count
            scores[name] = float(f"{share:.2f}")
    return scores
