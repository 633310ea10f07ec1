"""ScienceQA: the likeliest choice, as a whole and by what the hint does."""

import math
from typing import Any

import pytest
from benchmark_examples import answered, example

from mmicl.benchmarks.benchmark import Columns
from mmicl.benchmarks.intervals import sum_columns
from mmicl.benchmarks.scienceqa import SCIENCEQA
from mmicl.records import Example


def ask(number: int, kind: str, **changes: Any) -> Example:
    meta = {"hint": kind != "none", "misleads": kind == "misleading"}
    return example("scienceqa", number, meta=meta, **changes)


def report(columns: Columns | None) -> dict[str, float]:
    assert columns is not None
    sums = sum_columns(columns)
    values = {name: float(metric.formula(sums)) for name, metric in SCIENCEQA.metrics.items()}
    return {name: value for name, value in values.items() if not math.isnan(value)}


def test_accuracy_and_its_parts_by_hand() -> None:
    kinds = ["none", "none", "true", "misleading", "misleading", "misleading"]
    scores = [(-2, -1, -3), (-1, -2, -3), (-2, -1, -3), (-2, -2, -3), (-1, -2, -3), (-3, -2, -1)]
    items = [
        answered(ask(number, kind), "a", scores=[one])
        for number, (kind, one) in enumerate(zip(kinds, scores, strict=True))
    ]
    # right: 1, 0 | 1 | 1/2 (a tie of two), 0, 0
    assert report(SCIENCEQA.judge(items)) == {
        "accuracy": pytest.approx(100 * 2.5 / 6),
        "accuracy_no_hint": 50,
        "accuracy_hinted": pytest.approx(100 * 1.5 / 4),
        "accuracy_misled": pytest.approx(100 * 0.5 / 3),
    }


def test_parts_that_were_not_asked_are_left_out() -> None:
    items = [answered(ask(0, "none"), "b", scores=[(-2, -1, -3)])]
    assert report(SCIENCEQA.judge(items)) == {"accuracy": 100, "accuracy_no_hint": 100}


def test_chance_is_one_of_the_choices() -> None:
    asked = [ask(0, "none", choices=("a", "b")), ask(1, "misleading")]
    assert report(SCIENCEQA.chance(asked, [])) == {
        "accuracy": pytest.approx(100 * (1 / 2 + 1 / 3) / 2),
        "accuracy_no_hint": 50,
        "accuracy_hinted": pytest.approx(100 / 3),
        "accuracy_misled": pytest.approx(100 / 3),
    }


def test_the_constant_is_a_place_and_wrong_where_there_is_no_such_choice() -> None:
    train = [ask(n, "none", split="train", answer_index=k) for n, k in enumerate([2, 2, 0])]
    constant = SCIENCEQA.constant(train)
    asked = [
        ask(0, "none", answer_index=2),
        ask(1, "none", answer_index=0),
        ask(2, "none", choices=("a", "b"), answer_index=1),
        ask(3, "none", choices=("a", "b", "c", "d", "e"), answer_index=4),
    ]
    items = [answered(one, constant.text, scores=[constant.scores]) for one in asked]
    assert SCIENCEQA.judge(items)["right"].tolist() == [1, 0, 0, 0]
    assert SCIENCEQA.constant([]).scores == (1.0,)


def test_the_gap_of_language_bias_by_hand() -> None:
    needs = [True, True, False, None]
    rows = [
        example("scienceqa", number, meta={} if need is None else {"needs_image": need})
        for number, need in enumerate(needs)
    ]
    right, wrong = (-2, -1, -3), (-1, -2, -3)
    items = [
        answered(row, "a", scores=[one])
        for row, one in zip(rows, [right, wrong, right, wrong], strict=True)
    ]
    found = report(SCIENCEQA.judge(items))
    assert (found["accuracy_visual_need"], found["accuracy_no_visual_need"]) == (50, 100)
    assert found["gap"] == 50
    assert "gap" not in report(SCIENCEQA.judge(items[:2]))
