"""POPE and MME, worked out by hand from the official rules."""

import pytest

from mmicl.benchmarks.scorers import mme, pope


@pytest.mark.parametrize(
    ("answer", "yes"),
    [
        ("Yes", True),
        ("no", False),
        ("No, there is none", False),
        ("There is not", False),
        ("NO", True),  # only No, no and not are looked for
        ("nothing", True),
        ("Yes. Not quite", True),  # the first sentence alone counts
        ("The picture has it", True),
        ("", True),
        ("no.", False),
        ("isn't", True),
        ("yes\nno", True),  # words end at blanks, not at line breaks
    ],
)
def test_what_pope_takes_for_a_yes(answer: str, yes: bool) -> None:
    assert pope.says_yes(answer) is yes


def test_pope_counts() -> None:
    counts = pope.count(["yes", "yes", "no", "no", "yes"], ["yes", "no", "no", "yes", "yes"])
    assert counts == pope.Counts(tp=2, fp=1, tn=1, fn=1)
    assert pope.score(counts) == {
        "accuracy": 0.6,
        "precision": 2 / 3,
        "recall": 2 / 3,
        "f1": 2 / 3,
        "yes_ratio": 0.6,
    }


def test_pope_without_a_yes_has_no_precision() -> None:
    scores = pope.score(pope.count(["no", "no"], ["yes", "no"]))
    assert scores["precision"] == scores["recall"] == scores["f1"] == 0
    assert scores["accuracy"] == 0.5


@pytest.mark.parametrize(
    ("answer", "parsed"),
    [("Yes", "yes"), ("no way", "no"), ("a no", "no"), ("well yes", "other"), ("", "other")],
)
def test_what_mme_reads_in_four_characters(answer: str, parsed: str) -> None:
    assert mme.parse_answer(answer) == parsed


def test_mme_adds_the_share_of_pictures_with_both_right() -> None:
    answers = [
        mme.Answer("1", "Yes", "yes"), mme.Answer("1", "No", "no"),
        mme.Answer("2", "Yes", "yes"), mme.Answer("2", "No", "yes"),
    ]  # fmt: skip
    scores = mme.score_subtask(answers)
    assert (scores["acc"], scores["acc_plus"], scores["score"]) == (0.75, 0.5, 125.0)
    assert "perception" not in mme.score({"OCR": answers})


def test_mme_counts_confusion_over_answers_that_are_yes_or_no() -> None:
    given = [("Yes", "yes"), ("No", "yes"), ("Yes", "no"), ("No", "no"), ("Yes", "?"), ("No", "")]
    answers = [mme.Answer(str(n // 2), label, text) for n, (label, text) in enumerate(given)]
    scores = mme.score_subtask(
        [*answers, mme.Answer("3", "Yes", "yes"), mme.Answer("3", "No", "?")]
    )
    counts = {name: scores[name] for name in ("TP", "FN", "TN", "FP", "other_num")}
    assert counts == {"TP": 2, "FN": 1, "TN": 1, "FP": 1, "other_num": 3}
    assert (scores["precision"], scores["recall"]) == (2 / 3, 2 / 3)
    assert mme.score_subtask(answers[4:])["precision"] == 0


def test_mme_refuses_lines_that_do_not_pair_up() -> None:
    answers = [mme.Answer("1", "Yes", "yes"), mme.Answer("2", "No", "no")]
    with pytest.raises(ValueError, match="OCR: lines 1 and 2 speak of different pictures"):
        mme.score({"OCR": answers})
