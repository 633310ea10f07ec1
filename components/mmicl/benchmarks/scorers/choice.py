"""Multiple choice by score, as for VCR Q->A and RAVEN: the highest one is the answer."""

from collections.abc import Sequence


def credit(scores: Sequence[float], answer: int) -> float:
    """1 where the right alternative has the highest score, else 0.

    Alternatives that tie for the highest share the credit, which is what drawing one of them would
    earn on average. So a model that scores all alternatives alike is at chance, wherever the right
    one happens to stand.
    """
    best = max(scores)
    winners = [number for number, value in enumerate(scores) if value == best]
    return 1 / len(winners) if answer in winners else 0.0
