"""VQA accuracy, worked out by hand from the official rule."""

import pytest

from mmicl.benchmarks.scorers.vqa import Annotation, normalise, score, score_answer

OTHERS = [f"other {number}" for number in range(10)]


@pytest.mark.parametrize(
    ("matches", "accuracy"),
    # Of ten annotators, each of the k that agree sees k - 1 others, the rest see k.
    [
        (0, 0.0),
        (1, (1 * 0 + 9 * (1 / 3)) / 10),
        (2, (2 * (1 / 3) + 8 * (2 / 3)) / 10),
        (3, (3 * (2 / 3) + 7 * 1) / 10),
        (4, 1.0),
        (10, 1.0),
    ],
)
def test_an_answer_earns_a_third_per_other_annotator(matches: int, accuracy: float) -> None:
    answers = ["red"] * matches + OTHERS[matches:]
    assert score_answer("red", answers) == pytest.approx(accuracy)


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("The Cat", "cat"),
        ("two dogs", "2 dogs"),
        ("none", "0"),
        ("dont", "don't"),
        ("couldnt've", "couldn't've"),
        ("yalld've", "yalld've"),
        ("somebody'd", "somebodyd"),
        ("1,000", "1000"),  # a comma between digits: punctuation is dropped
        ("red,blue", "red blue"),  # else it becomes a blank ...
        ("red, blue", "red blue"),  # ... unless it touches one, and is dropped
        ("t-shirt", "t shirt"),
        ("3.5", "3.5"),
        ("3. ", "3"),
        ("it's", "it's"),  # the apostrophe is no punctuation
        ("5:30", "5:30"),  # nor is the colon
        ("." * 40, "." * 8),  # 32 full stops at the most
    ],
)
def test_normalising(text: str, normal: str) -> None:
    assert normalise(text) == normal


def test_answers_are_taken_as_written_where_the_annotators_agree() -> None:
    assert score_answer("the cat", ["The cat"] * 10) == 0
    assert score_answer("the cat", [*["The cat"] * 9, "cats"]) == 1


def test_tabs_and_ends_never_count() -> None:
    assert score_answer(" the\tcat\n", ["the cat"] * 10) == 1


def test_scores_are_means_by_type() -> None:
    references = [
        Annotation(1, ["yes"] * 10, "is the", "yes/no"),
        Annotation(2, ["red"] * 10, "what", "other"),
        Annotation(3, ["2"] * 10, "what", "number"),
    ]
    scores = score({1: "yes", 2: "blue", 3: "2"}, references)
    assert scores.overall == 66.67
    assert scores.per_question_type == {"is the": 100.0, "what": 50.0}
    assert scores.per_answer_type == {"yes/no": 100.0, "other": 0.0, "number": 100.0}
    assert scores.per_question == {1: 100.0, 2: 0.0, 3: 100.0}
