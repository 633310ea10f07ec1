"""Bootstrap intervals resample groups; items' shares in a figure stray as the figure does."""

from collections.abc import Sequence

import numpy as np
import pytest
from benchmark_examples import example
from sklearn.metrics import roc_auc_score

from mmicl.benchmarks import BENCHMARKS
from mmicl.benchmarks.benchmark import Columns, Item, Metric, divide, mean
from mmicl.benchmarks.intervals import bootstrap, share_out
from mmicl.records import Example, Prediction
from mmicl.tracking.pairs import Pairs, resample

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


def test_shares_average_to_the_figure_and_stray_as_it_does() -> None:
    """F1, a ratio of sums that is no mean over items."""
    draw = np.random.default_rng(5)
    true, said = draw.integers(2, size=(2, 600)).astype(float)
    columns = {"both": true * said, "any": true + said, "n": np.ones(600)}
    metric = Metric(lambda sums: 100 * divide(2 * sums["both"], sums["any"]))
    groups = [str(place // 2) for place in range(600)]
    shares = share_out(columns, metric)
    assert shares is not None
    assert shares.mean() == pytest.approx(100 * 2 * (true * said).sum() / (true + said).sum())
    whole = bootstrap(columns, groups, {"f1": metric}, resamples=4000, seed=1)["f1"]
    low, _, high = resample(Pairs(groups, shares.tolist()))
    assert (low, high) == pytest.approx(whole, abs=0.6)  # of a width of 10
    assert share_out({"both": np.zeros(3), "any": np.zeros(3)}, metric) is None


def judge_memes(memes: Sequence[Example], margins: np.ndarray) -> Columns:
    items = [
        Item(one, (), (Prediction(request="", benchmark="", control="",
                                  text="yes" if margin > 0 else "no", scores=(margin, 0.0)),))
        for one, margin in zip(memes, margins.tolist(), strict=True)
    ]  # fmt: skip
    return BENCHMARKS["hateful_memes"].judge(items)


def test_the_interval_of_the_area_counts_the_sampling_of_both_classes() -> None:
    """Two normal models of the same true area 0.76 (d' = 1), and their difference, 0."""
    draw, truth = np.random.default_rng(11), 100 * 0.7602
    hateful = np.arange(200) % 2 == 0
    memes = [
        example("classify", place, target="yes" if own else "no")
        for place, own in enumerate(hateful)
    ]
    groups = [one.group for one in memes]
    metric = {"roc_auc": BENCHMARKS["hateful_memes"].metrics["roc_auc"]}
    alone = paired = 0
    for seed in range(100):
        ours, theirs = (judge_memes(memes, hateful + draw.standard_normal(200)) for _ in range(2))
        low, high = bootstrap(ours, groups, metric, resamples=500, seed=seed)["roc_auc"]
        alone += low <= truth <= high
        mine, others = (share_out(one, metric["roc_auc"]) for one in (ours, theirs))
        assert mine is not None
        assert others is not None
        difference = resample(Pairs(groups, (mine - others).tolist()))
        paired += not difference.clear
    assert alone >= 89
    assert paired >= 89


def test_the_area_is_that_of_scikit_learn() -> None:
    draw = np.random.default_rng(3)
    hateful, margins = draw.integers(2, size=50), draw.integers(8, size=50) / 2
    memes = [
        example("classify", place, target="yes" if own else "no")
        for place, own in enumerate(hateful)
    ]
    metric = BENCHMARKS["hateful_memes"].metrics["roc_auc"]

    def measure(memes: Sequence[Example], margins: np.ndarray) -> float:
        columns = judge_memes(memes, margins)
        return float(metric.formula({name: values.sum() for name, values in columns.items()}))

    assert measure(memes, margins) == pytest.approx(100 * roc_auc_score(hateful, margins))
    one = [meme for meme in memes if meme.target == "no"]
    assert np.isnan(measure(one, margins[: len(one)]))
