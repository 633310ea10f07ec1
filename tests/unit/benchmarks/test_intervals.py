"""Bootstrap intervals resample groups."""

import numpy as np
import pytest

from mmicl.benchmarks.benchmark import mean
from mmicl.benchmarks.intervals import bootstrap

METRIC = {"accuracy": mean("right")}


def run(right: list[float], groups: list[str], **options: int) -> tuple[float, float]:
    columns = {"right": np.array(right, float), "n": np.ones(len(right))}
    options = {"resamples": 4000, "seed": 1} | options
    return bootstrap(columns, groups, METRIC, **options)["accuracy"]


def test_the_width_is_that_of_the_mean() -> None:
    """Of 400 independent answers, half right: 1.96 * 50 / sqrt(400) = 4.9 points."""
    low, high = run([0, 1] * 200, [str(place) for place in range(400)])
    assert low == pytest.approx(45.1, abs=0.8)
    assert high == pytest.approx(54.9, abs=0.8)


def test_items_of_a_group_stand_or_fall_together() -> None:
    """Four equal answers a group carry the information of one: the interval is twice as wide."""
    right = [float(place // 4 % 2) for place in range(400)]
    alone = run(right, [str(place) for place in range(400)])
    grouped = run(right, [str(place // 4) for place in range(400)])
    assert grouped[1] - grouped[0] == pytest.approx(2 * (alone[1] - alone[0]), rel=0.15)


def test_equal_seeds_give_equal_intervals() -> None:
    right, groups = [place**0.5 for place in range(40)], [str(place) for place in range(40)]
    assert run(right, groups, seed=3) == run(right, groups, seed=3)
    assert run(right, groups, seed=3) != run(right, groups, seed=4)


def test_a_metric_that_counts_nothing_has_no_interval() -> None:
    columns = {"right": np.zeros(4), "n": np.zeros(4)}
    low, high = bootstrap(columns, list("abcd"), METRIC, resamples=50, seed=1)["accuracy"]
    assert np.isnan(low)
    assert np.isnan(high)


def test_many_groups_are_drawn_in_parts() -> None:
    count = 50_000
    low, high = run([0, 1] * (count // 2), [str(n) for n in range(count)], resamples=200)
    assert 49.4 < low < 50 < high < 50.6
