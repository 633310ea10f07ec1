"""POPE, as AoiDragon/POPE evaluate.py counts: the first sentence says no, or the answer is yes."""

from collections.abc import Iterable
from dataclasses import dataclass

_NEGATIONS = {"No", "not", "no"}


@dataclass(frozen=True)
class Counts:
    """The confusion matrix; yes is positive."""

    tp: int = 0
    fp: int = 0
    tn: int = 0
    fn: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(
            self.tp + other.tp, self.fp + other.fp, self.tn + other.tn, self.fn + other.fn
        )


def says_yes(answer: str) -> bool:
    """Whether an answer counts as yes.

    Only the text before the first full stop counts; commas are dropped, words end at blanks, and
    anything without the words No, no or not is a yes.
    """
    words = answer.split(".")[0].replace(",", "").split(" ")
    return not _NEGATIONS.intersection(words)


def count(answers: Iterable[str], labels: Iterable[str]) -> Counts:
    """Count answers against labels, in order; any label but `no` is a yes."""
    total = Counts()
    for answer, label in zip(answers, labels, strict=True):
        yes, right = says_yes(answer), label != "no"
        total += Counts(yes and right, yes and not right, not yes and not right, not yes and right)
    return total


def score(counts: Counts) -> dict[str, float]:
    """Accuracy, precision, recall, f1 and yes_ratio as shares.

    The official script divides by zero where there is no positive answer or label; here precision,
    recall and f1 are 0 then.
    """
    n = counts.tp + counts.fp + counts.tn + counts.fn
    precision = counts.tp / (counts.tp + counts.fp) if counts.tp + counts.fp else 0.0
    recall = counts.tp / (counts.tp + counts.fn) if counts.tp + counts.fn else 0.0
    return {
        "accuracy": (counts.tp + counts.tn) / n,
        "precision": precision,
        "recall": recall,
        "f1": 2 * precision * recall / (precision + recall) if precision + recall else 0.0,
        "yes_ratio": (counts.tp + counts.fp) / n,
    }
