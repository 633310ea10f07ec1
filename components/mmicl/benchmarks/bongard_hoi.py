"""Bongard-HOI: six pictures share an action, six do not; does the thirteenth have it?

Each problem asks about two pictures, and each counts for itself. The official average is over the
four test splits, seen and unseen objects (`cat`) and actions (`act`), where all were asked.
"""

from collections.abc import Callable

import numpy as np

from mmicl.benchmarks.benchmark import Benchmark, Metric, Sums, divide
from mmicl.benchmarks.paper import list_published
from mmicl.benchmarks.parts import Judged
from mmicl.benchmarks.scorers.bongard_hoi import SPLITS, name_split
from mmicl.records import Example


def _is_of(split: str) -> Callable[[Example], bool]:
    """By the id, `bongard_hoi/test/test_seen_obj_seen_act-12-yes`."""
    return lambda example: name_split(example.id.rpartition("/")[2].split("-")[0]) == split


def _average(sums: Sums) -> np.ndarray:
    shares = [divide(sums[f"right_{split}"], sums[f"n_{split}"]) for split in SPLITS]
    return 100 * np.mean(shares, axis=0)


RULE = Judged({split: _is_of(split) for split in SPLITS})
BONGARD_HOI = Benchmark(
    name="bongard_hoi",
    version="bongard-hoi/train_meta_image_dist_bbox@1135ba5",
    category="classification",
    task="classify",
    kind="yes_probability",
    scorer="exact",
    metrics={**RULE.metrics, "average": Metric(_average)},
    headline=("accuracy", "average"),
    judge=RULE.judge,
    chance=RULE.guess,
    constant=RULE.constant,
    licence="NVIDIA source code licence (research); pictures of HAKE under their own terms",
    published=list_published("bongard_hoi"),
)
