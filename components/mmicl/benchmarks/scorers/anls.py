"""ANLS, average normalized Levenshtein similarity, which ST-VQA is scored by.

Biten et al., ICCV 2019, as the Robust Reading Competition's script computes it
(rrc.cvc.uab.es, infographicsvqa_eval.py, evaluateANLS): an answer earns 1 - distance / length of
the closest right answer, and nothing below 0.5. Kept: the distance is between texts in lower case
with single spaces, the length that of the longer text as written.
"""

from collections.abc import Sequence

from mmicl.benchmarks.scorers.exact import normalise

THRESHOLD = 0.5


def similarity(prediction: str, answers: Sequence[str]) -> float:
    """The similarity of one answer, 0 or 0.5 to 1, to the closest of the right ones."""
    said = normalise(prediction)
    distances = []
    for answer in answers:
        right, length = normalise(answer), max(len(answer), len(prediction))
        # Texts so unlike in length earn nothing whatever they say, and NLTK refuses very long ones.
        least = abs(len(right) - len(said))
        edits = least if least > length * (1 - THRESHOLD) else distance(right, said)
        distances.append(edits / length if length else 0.0)
    value = 1 - min(distances)
    return value if value >= THRESHOLD else 0.0


def distance(one: str, other: str) -> int:
    """Levenshtein's: how many characters to insert, delete or replace."""
    from nltk.metrics.distance import edit_distance  # takes seconds to import

    return edit_distance(one, other)
