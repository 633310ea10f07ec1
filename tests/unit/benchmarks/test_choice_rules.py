"""Choices and statements, worked out by hand from the official rules."""

import pytest

from mmicl.benchmarks.scorers import blink, choice, nextqa, nlvr, scienceqa, winoground


def test_winoground_wants_the_right_one_strictly_higher() -> None:
    all_right = [[0.9, 0.1], [0.2, 0.8]]
    text_alone = [[0.5, 0.7], [0.4, 0.8]]  # caption 0 prefers image 1
    image_alone = [[0.5, 0.4], [0.6, 0.8]]  # image 0 prefers caption 1
    tied = [[0.5, 0.5], [0.5, 0.5]]
    assert (winoground.text_correct(text_alone), winoground.image_correct(text_alone)) == (1, 0)
    assert (winoground.text_correct(image_alone), winoground.image_correct(image_alone)) == (0, 1)
    assert winoground.score([all_right, text_alone, image_alone, tied]) == {
        "text": 0.5,
        "image": 0.5,
        "group": 0.25,
    }


@pytest.mark.parametrize(
    ("table", "text", "image"),
    [
        ([[5, 5], [1, 9]], True, False),  # caption 0 cannot tell the images apart
        ([[9, 1], [5, 5]], True, False),  # nor can caption 1
        ([[5, 1], [5, 9]], False, True),  # image 0 cannot tell the captions apart
        ([[9, 5], [1, 5]], False, True),  # nor can image 1
    ],
)
def test_a_tie_is_a_failure(table: list[list[float]], text: bool, image: bool) -> None:
    assert winoground.text_correct(table) is text
    assert winoground.image_correct(table) is image


@pytest.mark.parametrize(
    ("scores", "credit"),
    [((0, 3, 1), 1), ((4, 3, 1), 0), ((3, 3, 1), 0.5), ((1, 1, 1), 1 / 3), ((2, 1, 2), 0)],
)
def test_the_highest_score_wins_and_ties_share(scores: tuple[float, ...], credit: float) -> None:
    assert choice.credit(scores, 1) == credit


def test_nlvr_is_consistent_where_all_pictures_of_a_sentence_are_right() -> None:
    references = [
        nlvr.Reference("dev-1-0-0", nlvr.nlvr2_sentence("dev-1-0-0"), "True"),
        nlvr.Reference("dev-1-1-0", nlvr.nlvr2_sentence("dev-1-1-0"), "False"),
        nlvr.Reference("dev-1-0-1", nlvr.nlvr2_sentence("dev-1-0-1"), "True"),
    ]
    predictions = {"dev-1-0-0": "true", "dev-1-1-0": "True", "dev-1-0-1": "True"}
    assert nlvr.score(predictions, references) == {"accuracy": 2 / 3, "consistency": 0.5}


def test_nextqa_joins_previous_and_next() -> None:
    questions = [
        nextqa.Question("v_1", "TN", 0),
        nextqa.Question("v_2", "TP", 1),
        nextqa.Question("v_3", "TP", 1),
        nextqa.Question("v_4", "CW", 2),
    ]
    scores = nextqa.score({"v_1": 0, "v_2": 1, "v_3": 4, "v_4": 2}, questions)
    assert scores == {"CW": 100.0, "TN+TP": 66.67, "Acc_C": 100.0, "Acc_T": 66.67, "Acc": 75.0}


def test_scienceqa_parts() -> None:
    problems = {
        "1": scienceqa.Problem("natural science", "grade6", True, False, 0),
        "2": scienceqa.Problem("natural science", "grade7", False, False, 1),
        "3": scienceqa.Problem("social science", "grade1", False, True, 1),
    }
    assert scienceqa.score({"1": 0, "2": 0, "3": 1}, problems) == {
        "acc_natural": 50.0, "acc_social": 100.0, "acc_has_text": 100.0, "acc_has_image": 100.0,
        "acc_no_context": 0.0, "acc_grade_1_6": 100.0, "acc_grade_7_12": 0.0,
        "acc_average": 66.67, "acc_no_image": 50.0,
    }  # fmt: skip


def test_scienceqa_gap_of_language_bias() -> None:
    def ask(needs_image: bool) -> scienceqa.Problem:
        return scienceqa.Problem("social science", "grade1", True, True, 0, needs_image)

    problems = {"1": ask(True), "2": ask(True), "3": ask(False)}
    scores = scienceqa.score({"1": 0, "2": 1, "3": 0}, problems)
    assert (scores["acc_visual_need"], scores["acc_no_visual_need"], scores["gap"]) == (50, 100, 50)


def test_blink_total_is_the_plain_mean_of_tasks() -> None:
    tasks = {name: [("(A)", "(A)")] for name in blink.TASKS} | {"Jigsaw": [("(A)", "(B)")] * 9}
    assert blink.score(tasks)["Total"] == 13 / 14
    assert "Total" not in blink.score({"Jigsaw": [("(A)", "(A)")]})
