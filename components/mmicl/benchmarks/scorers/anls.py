"""ANLS, average normalized Levenshtein similarity, which ST-VQA is scored by.

Biten et al., ICCV 2019, as the Robust Reading Competition's script computes it
(rrc.cvc.uab.es, infographicsvqa_eval.py, evaluateANLS): an answer earns 1 - distance / length of
the closest right answer, and nothing below 0.5. Kept: the distance is between texts in lower case
with single spaces, the length that of the longer text as written.
"""

from collections.abc import Sequence

THRESHOLD = 0.5


def similarity(prediction: str, answers: Sequence[str]) -> float:
    """The similarity of one answer, 0 or 0.5 to 1, to the closest of the right ones."""
    said = _normalise(prediction)
    distances = []
    for answer in answers:
        length = max(len(answer), len(prediction))
        distances.append(distance(_normalise(answer), said) / length if length else 0.0)
    value = 1 - min(distances)
    return value if value >= THRESHOLD else 0.0


def distance(one: str, other: str) -> int:
    """Levenshtein's: how many characters to insert, delete or replace."""
    row = list(range(len(other) + 1))
    for place, letter in enumerate(one, 1):
        diagonal, row[0] = row[0], place
        for column, against in enumerate(other, 1):
            kept = (
                diagonal if letter == against else 1 + min(diagonal, row[column], row[column - 1])
            )
            diagonal, row[column] = row[column], kept
    return row[-1]


def _normalise(text: str) -> str:
    return " ".join(text.lower().split())
