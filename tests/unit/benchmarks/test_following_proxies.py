"""Mantis and Open-Ended miniImageNet: exact match, and whether an answer followed the proxy."""

import math

import numpy as np
import pytest
from benchmark_examples import answered, example

from mmicl.benchmarks import BENCHMARKS
from mmicl.benchmarks.benchmark import Columns, Item
from mmicl.benchmarks.intervals import share_out, sum_columns
from mmicl.records import Example

MANTIS, OPEN_ENDED_MI = BENCHMARKS["mantis"], BENCHMARKS["open_ended_mi"]
QUESTION = "What color is the star in {}?"


def report(name: str, columns: Columns) -> dict[str, float]:
    sums = sum_columns(columns)
    values = {key: float(one.formula(sums)) for key, one in BENCHMARKS[name].metrics.items()}
    return {key: value for key, value in values.items() if not math.isnan(value)}


def one_set(number: int) -> list[Example]:
    """What a test set asks: pictures 2 (red) and 0 (blue) of three, and both alone."""
    images = tuple(f"set-{number}-{place}" for place in range(3))
    rows = [
        ("proxy", images, QUESTION.format("<image:2>"), "red"),
        ("proxy", images, QUESTION.format("<image:0>"), "blue"),
        ("single", images[2:], QUESTION.format("<image:0>"), "red"),
        ("single", images[:1], QUESTION.format("<image:0>"), "blue"),
    ]
    return [
        example(
            "multi", 10 * number + part, images=shown, question=question, target=target,
            group=f"set-{number}", meta={"category": category},
        )
        for part, (category, shown, question, target) in enumerate(rows)
    ]  # fmt: skip


def answer(number: int, *texts: str) -> list[Item]:
    return [answered(row, text) for row, text in zip(one_set(number), texts, strict=True)]


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (("red", "blue", "red", "blue"), {"proxy": 100, "single": 100, "swap": 100}),
        (("red", "red", "red", "blue"), {"proxy": 50, "single": 100, "swap": 0}),
        (("blue", "red", "red", "blue"), {"proxy": 0, "single": 100, "swap": 0}),
        # One picture is not understood alone: the pair says nothing about proxies.
        (("red", "blue", "red", "red"), {"proxy": 100, "single": 50}),
        (("red", "blue", "blue", "red"), {"proxy": 100, "single": 0}),
    ],
)
def test_swap_counts_where_both_pictures_are_understood_alone(
    texts: tuple[str, ...], expected: dict[str, float]
) -> None:
    ours = report("mantis", MANTIS.judge(answer(0, *texts)))
    assert ours == {**expected, "swap_pairs": float("swap" in expected)}


def test_swap_is_the_share_of_the_pairs_that_count() -> None:
    items = [
        *answer(0, "red", "blue", "red", "blue"),
        *answer(1, "red", "red", "red", "blue"),
        *answer(2, "red", "blue", "green", "blue"),
        *answer(3, "Red ", "BLUE", " red", "blue"),
    ]
    columns = MANTIS.judge(items)
    assert report("mantis", columns) == pytest.approx(
        {"proxy": 700 / 8, "single": 700 / 8, "swap": 200 / 3, "swap_pairs": 3}
    )
    assert list(np.flatnonzero(columns["swap_pairs"])) == [0, 4, 12]
    # Two models understand different pairs: they are compared by the shares of all items.
    assert MANTIS.metrics["swap"].ratio is None
    shares = share_out(columns, MANTIS.metrics["swap"])
    assert shares is not None
    assert (len(shares), shares.mean()) == (16, pytest.approx(200 / 3))
    assert all(len(values) == len(items) for values in columns.values())


def test_a_pair_needs_its_single_items_and_other_answers() -> None:
    items = answer(0, "red", "blue", "red", "blue")
    assert "swap" not in report("mantis", MANTIS.judge(items[:3]))
    other = [answered(item.example.model_copy(update={"target": "red"}), "red") for item in items]
    assert "swap" not in report("mantis", MANTIS.judge(other))
    # Another set's pictures alone are not this pair's.
    mixed = [*items[:2], *answer(1, "red", "blue", "red", "blue")[2:]]
    assert report("mantis", MANTIS.judge(mixed))["swap_pairs"] == 0


def test_which_is_compared_with_the_number_in_the_prompt() -> None:
    row = example(
        "multi", images=("a", "b"), target="<image:1>", meta={"category": "which"},
        question="Which image shows a star?",
    )  # fmt: skip
    item = answered(row, "Image 3")
    in_prompt = item.requests[0].model_copy(update={"target": "image 3"})
    right = Item(row, (in_prompt,), item.predictions)
    assert report("mantis", MANTIS.judge([right])) == {"which": 100, "swap_pairs": 0}
    assert report("mantis", MANTIS.judge([item]))["which"] == 0


def test_mantis_chance_is_a_training_answer_or_one_of_the_pictures() -> None:
    train = [
        example("multi", number, split="train", target=target)
        for number, target in enumerate(["red", "red", "blue", "Green", "<image:1>"])
    ]
    which = example("multi", 9, images=("a", "b", "c"), meta={"category": "which"})
    columns = MANTIS.chance([*one_set(0), which], train)
    assert columns is not None
    assert report("mantis", columns) == pytest.approx({
        "proxy": 37.5, "single": 37.5, "which": 100 / 3,
        "swap": 100 * 0.5 * 0.25, "swap_pairs": 0.5 * 0.25,
    })  # fmt: skip
    assert MANTIS.chance([which], []) is None
    assert MANTIS.constant(train).text == "red"
    assert MANTIS.constant([train[0], *train[4:] * 3]).text == "red"  # no picture, however common


def test_episodes_are_counted_overall_and_by_shots() -> None:
    rows = [
        example(
            "episode", number, choices=("dax", "wug") * shots, target="wug", meta={"shots": shots}
        )
        for number, shots in enumerate([1, 1, 1, 2])
    ]
    texts = ["wug", "Wug ", "dax", "a wug"]
    columns = OPEN_ENDED_MI.judge(
        [answered(row, text) for row, text in zip(rows, texts, strict=True)]
    )
    assert report("open_ended_mi", columns) == pytest.approx(
        {"accuracy": 50, "accuracy_1shot": 200 / 3, "accuracy_2shot": 0}
    )
    chance = OPEN_ENDED_MI.chance(rows[:3], [])
    assert chance is not None
    assert report("open_ended_mi", chance) == {"accuracy": 50, "accuracy_1shot": 50}
