"""The learning rate as a function of the step."""

import math

from mmicl.config import Training


def learning_rate(step: int, training: Training) -> float:
    """The rate of a step (from 0): linear warm-up, then constant, or down to zero.

    The first step of the warm-up has a rate above zero, the first after it the full one.
    """
    warmup = round(training.warmup_ratio * training.steps)
    if step < warmup:
        return training.learning_rate * (step + 1) / (warmup + 1)
    share = (step - warmup) / max(1, training.steps - warmup)
    factor = {
        "constant": 1.0,
        "linear": 1 - share,
        "cosine": 0.5 * (1 + math.cos(math.pi * share)),
    }[training.schedule]
    return training.learning_rate * factor
