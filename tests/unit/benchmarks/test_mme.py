"""MME: two questions a picture, judged by hand and against the official scorer."""

import math
import random

import pytest
from benchmark_examples import answered, example

from mmicl.benchmarks.benchmark import Columns, Item
from mmicl.benchmarks.intervals import bootstrap, sum_columns
from mmicl.benchmarks.mme import MME, SUBTASKS
from mmicl.benchmarks.paper import README
from mmicl.benchmarks.scorers import mme
from mmicl.records import Example


def ask(number: int, subtask: str, picture: str, target: str) -> Example:
    return example(
        "mme", number, target=target, group=picture, meta={"subtask": subtask, "image": picture}
    )


def report(columns: Columns | None) -> dict[str, float]:
    assert columns is not None
    sums = sum_columns(columns)
    values = {name: float(metric.formula(sums)) for name, metric in MME.metrics.items()}
    return {name: value for name, value in values.items() if not math.isnan(value)}


ROWS = [
    ("count", "1.jpg", "yes", "yes"),
    ("count", "1.jpg", "no", "no"),
    ("count", "2.jpg", "yes", "yes"),
    ("count", "2.jpg", "no", "yes"),
    ("color", "1.jpg", "yes", "no"),
    ("color", "1.jpg", "no", "no"),
]
"""Sub-task, picture, right answer, given answer."""


def items() -> list[Item]:
    return [
        answered(ask(number, subtask, picture, target), given)
        for number, (subtask, picture, target, given) in enumerate(ROWS)
    ]


def test_scores_by_hand() -> None:
    assert report(MME.judge(items())) == {
        "accuracy": pytest.approx(100 * 4 / 6),
        "accuracy_plus": pytest.approx(100 / 3),
        "score_count": 75 + 50,
        "score_color": 50,
    }


def test_a_picture_of_two_subtasks_is_two_pictures_whatever_the_order() -> None:
    shuffled = [items()[place] for place in (5, 0, 3, 2, 4, 1)]
    assert report(MME.judge(shuffled)) == report(MME.judge(items()))


def test_an_answer_that_is_neither_is_wrong() -> None:
    wrong = [answered(ask(0, "count", "1.jpg", "no"), "perhaps")]
    assert report(MME.judge(wrong))["accuracy"] == 0


def test_all_subtasks_equal_the_official_scorer_and_its_totals() -> None:
    draw = random.Random(5)
    given: dict[str, list[mme.Answer]] = {subtask: [] for subtask in SUBTASKS}
    found = []
    for subtask in SUBTASKS:
        for picture in range(8):
            for label in ("Yes", "No"):
                text = draw.choice(["yes", "no"])
                given[subtask].append(mme.Answer(f"{picture}.jpg", label, text))
                one = ask(len(found), subtask, f"{picture}.jpg", label.lower())
                found.append(answered(one, text))
    official, ours = mme.score(given), report(MME.judge(found))
    for subtask in SUBTASKS:
        assert ours[f"score_{subtask}"] == pytest.approx(official[subtask])
    assert ours["perception"] == pytest.approx(official["perception"])
    assert ours["cognition"] == pytest.approx(official["cognition"])


def test_a_total_is_given_only_of_all_its_subtasks() -> None:
    most = [
        answered(ask(number, subtask, "1.jpg", "yes"), "yes")
        for number, subtask in enumerate(SUBTASKS[1:])
    ]
    ours = report(MME.judge(most))
    assert "perception" not in ours
    assert ours["cognition"] == 800


def test_chance_and_always_yes() -> None:
    asked = [one.example for one in items()]
    assert report(MME.chance(asked, [])) == {
        "accuracy": 50, "accuracy_plus": 25, "score_count": 75, "score_color": 75,
    }  # fmt: skip
    constant = MME.constant([])
    assert constant.text == "yes"
    always = [answered(one, constant.text, scores=[constant.scores]) for one in asked]
    assert report(MME.judge(always)) == {
        "accuracy": 50, "accuracy_plus": 0, "score_count": 50, "score_color": 50,
    }  # fmt: skip


def test_intervals_of_a_subtask_count_its_own_pictures() -> None:
    columns, groups = MME.judge(items()), [picture for _, picture, _, _ in ROWS]
    found = bootstrap(columns, groups, MME.metrics, resamples=300, seed=1)
    assert found["score_count"] == (50, 200)
    assert found["score_color"] == (50, 50)
    assert math.isnan(found["perception"][0])


def test_the_published_totals_are_the_sums_of_the_published_scores() -> None:
    table = [one for one in MME.published if one.source != README]
    own = {one.metric: one.value for one in table if one.system == "MMICL FLAN-T5-XXL"}
    for total, subtasks in (("perception", mme.PERCEPTION), ("cognition", mme.COGNITION)):
        assert sum(own[f"score_{one}"] for one in subtasks) == pytest.approx(own[total], abs=0.02)
