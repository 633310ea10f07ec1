"""What NLVR and NLVR2 share: a statement, true or false; accuracy and consistency."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from mmicl.benchmarks.benchmark import Columns, Constant, Item, mean, most_common
from mmicl.benchmarks.scorers.nlvr import is_right
from mmicl.records import Example

METRICS = {"accuracy": mean("right"), "consistency": mean("consistent", "sentences")}


def judge(items: Sequence[Item]) -> Columns:
    """Right or wrong per item, and per sentence (an Example's group) whether all are right."""
    examples = [item.example for item in items]
    right = [is_right(item.predictions[0].text, item.example.target) for item in items]
    consistent: dict[str, bool] = {}
    for example, correct in zip(examples, right, strict=True):
        consistent[example.group] = consistent.get(example.group, True) and correct
    return _columns(examples, np.array(right, float), dict(consistent))


def guess(examples: Sequence[Example], _: Sequence[Example]) -> Columns:
    """A coin: half of the items, and a sentence of k pictures in one of 2^k tries."""
    sizes = Counter(example.group for example in examples)
    consistent = {group: 0.5**size for group, size in sizes.items()}
    return _columns(examples, np.full(len(examples), 0.5), consistent)


def _columns(
    examples: Sequence[Example], right: np.ndarray, consistent: dict[str, float]
) -> Columns:
    """A sentence's figures stand at its first item; its items are always resampled together."""
    first: dict[str, int] = {}
    for place, example in enumerate(examples):
        first.setdefault(example.group, place)
    columns = {
        "right": right,
        "n": np.ones(len(examples)),
        "consistent": np.zeros(len(examples)),
        "sentences": np.zeros(len(examples)),
    }
    for group, place in first.items():
        columns["consistent"][place] = consistent[group]
        columns["sentences"][place] = 1
    return columns


def constant(train: Sequence[Example]) -> Constant:
    """The more common label of the training split, always."""
    return Constant(most_common([example.target for example in train]))
