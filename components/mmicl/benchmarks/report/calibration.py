"""Whether a probability of yes means what it says.

Probabilities are sorted into ten bins of equal width. The expected calibration error is the mean
distance between a bin's mean probability and its share of yes, weighted by the bin's size (Naeini
et al., AAAI 2015; Guo et al., ICML 2017), of the probability of yes, not of the likelier answer.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from mmicl.benchmarks.predictions import Answered
from mmicl.benchmarks.runner import MODEL
from mmicl.mic.queries import YES_NO

BINS = 10


@dataclass(frozen=True)
class Bin:
    """The requests whose probability of yes lies in one interval; shares are 0 to 1."""

    count: int
    predicted: float
    observed: float


@dataclass(frozen=True)
class Calibration:
    """Bins that hold something, from 0 up, and the expected calibration error in points."""

    n: int
    bins: tuple[Bin, ...]
    error: float


def read_probabilities(answers: Iterable[Answered]) -> tuple[list[float], list[bool]]:
    """The model's own probability of yes, of yes and no alone, and whether yes was right."""
    own = [one for one in answers if one.control == MODEL and one.kind == "yes_probability"]
    margins = np.array([one.scores[1] - one.scores[0] for one in own], float)
    return (1 / (1 + np.exp(margins))).tolist(), [one.target == YES_NO[0] for one in own]


def calibrate(probabilities: Sequence[float], truths: Sequence[bool]) -> Calibration:
    """Hold probabilities against what was true; there must be some."""
    predicted, true = np.array(probabilities, float), np.array(truths, float)
    places = np.minimum((predicted * BINS).astype(int), BINS - 1)
    bins = [
        Bin(int(own.sum()), float(predicted[own].mean()), float(true[own].mean()))
        for own in (places == place for place in range(BINS))
        if own.any()
    ]
    apart = sum(one.count * abs(one.predicted - one.observed) for one in bins)
    return Calibration(len(true), tuple(bins), 100 * apart / len(true))
