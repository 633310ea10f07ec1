"""NLVR and NLVR2: accuracy, and consistency: the share of sentences right on all their pictures.

lil-lab/nlvr, nlvr2/eval/metrics.py and nlvr/metrics_images.py.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Reference:
    """One sentence with its pictures and label (true or false, in any case)."""

    identifier: str
    sentence: str
    """What ties the records of one sentence."""
    label: str


def is_right(prediction: str, label: str) -> bool:
    """Compare without regard to case, nothing else."""
    return prediction.lower() == label.lower()


def score(predictions: Mapping[str, str], references: Iterable[Reference]) -> dict[str, float]:
    """Accuracy and consistency as shares; every reference needs a prediction."""
    right, total = 0.0, 0
    consistent: dict[str, bool] = {}
    for reference in references:
        correct = is_right(predictions[reference.identifier], reference.label)
        right += correct
        total += 1
        consistent[reference.sentence] = consistent.get(reference.sentence, True) and correct
    return {
        "accuracy": right / total,
        "consistency": sum(consistent.values()) / len(consistent),
    }


def nlvr2_sentence(identifier: str) -> str:
    """The sentence of `split-set-pair-sentence`: everything but the pair.

    Raises:
        ValueError: The identifier does not have four parts.
    """
    split, pictures, _, sentence = identifier.split("-")
    return f"{split}-{pictures}-{sentence}"


def nlvr1_sentence(identifier: str) -> str:
    """The sentence of `sentence-picture`."""
    return identifier.split("-")[0]
