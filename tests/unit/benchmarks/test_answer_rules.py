"""Short answers, dialogs, pages and tables, worked out by hand from the official rules."""

import math

import pytest

from mmicl.benchmarks.scorers import (
    anls,
    aokvqa,
    bongard_hoi,
    gqa,
    hateful_memes,
    iconqa,
    mmbench,
    video_qa,
    visdial,
    vsr,
    websrc,
    wups,
)
from mmicl.errors import UserError

# --- ST-VQA --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other", "distance"),
    [("", "", 0), ("", "abc", 3), ("kitten", "sitting", 3), ("flaw", "lawn", 2), ("ab", "ba", 2)],
)
def test_levenshtein(one: str, other: str, distance: int) -> None:
    assert anls.distance(one, other) == anls.distance(other, one) == distance


@pytest.mark.parametrize(
    ("prediction", "answers", "value"),
    [
        ("STOP", ["stop"], 1.0),
        ("stab", ["stop"], 0.5),  # two of four letters: at the threshold
        ("stxxx", ["stop"], 0.0),  # three of five: below
        ("stops", ["go", "stop"], 1 - 1 / 5),  # the closest answer counts
        ("", ["stop"], 0.0),
        ("a   b", ["A b"], 1.0),
        ("a  c", ["A b"], 1 - 1 / 4),  # distance of "a c", length of "a  c" as written
    ],
)
def test_anls_of_the_closest_answer(prediction: str, answers: list[str], value: float) -> None:
    assert anls.similarity(prediction, answers) == pytest.approx(value)


# --- A-OKVQA -------------------------------------------------------------------------------------


def test_aokvqa_two_settings() -> None:
    answers = ["cab"] * 2 + ["taxi"] * 8
    questions = {
        "q": aokvqa.Question(["bus", "cab"], 1, answers, difficult=False),
        "r": aokvqa.Question(["bus", "cab"], 0, answers, difficult=True),
    }
    assert aokvqa.score_choices({"q": "cab", "r": "cab"}, questions) == {"q": 1, "r": 0}
    assert aokvqa.score_answers({"q": "cab"}, questions) == {"q": 2 / 3}
    assert aokvqa.score_answers({"q": "taxi"}, questions) == {"q": 1}
    assert aokvqa.score_answers({"q": "Taxi"}, questions) == {"q": 0}
    assert aokvqa.score_answers({}, questions) == {"q": 0}


# --- GQA -----------------------------------------------------------------------------------------


def ask(answer: str, structure: str, group: str | None = None, **more: object) -> gqa.Question:
    types = {"structural": structure, "semantic": "attr", "detailed": "x"}
    steps = [{"operation": "select", "argument": "dog"}, {"operation": "query", "argument": "name"}]
    whole = {"question": "what is it", "answer": answer, "types": types, "semantic": steps}
    return {**whole, "entailed": [], "groups": {"global": group}} | more


def test_gqa_accuracy_by_kind_and_distribution() -> None:
    questions = {
        "1": ask("red", "query", "color"),
        "2": ask("blue", "query", "color"),
        "3": ask("yes", "verify"),
    }
    scores = gqa.score({"1": "red", "2": "red", "3": "yes"}, questions)
    assert scores["binary"] == 100
    assert scores["open"] == 50
    assert scores["accuracy"] == pytest.approx(200 / 3)
    # red: 2 given for 1 right, blue: 0 for 1; (1 + 1), weighted by the group's 2 of 2.
    assert scores["distribution"] == 2 / 100
    assert scores["accuracyPerStructuralType"]["verify"] == {"accuracy": 100, "n": 1}
    assert list(scores["accuracyPerSteps"]) == [1]  # `query: name` is no step
    assert list(scores["accuracyPerLength"]) == [3]


def test_gqa_is_consistent_over_what_right_answers_entail() -> None:
    questions = {
        "1": ask("red", "query", entailed=["1", "3", "4"]),
        "2": ask("blue", "query", entailed=["3"]),
        "3": ask("yes", "verify"),
        "4": ask("no", "verify"),
    }
    predictions = {"1": "red", "2": "red", "3": "yes", "4": "yes"}
    assert gqa.score_consistency(predictions, ["1", "2"], questions) == 50


def test_gqa_validity_takes_common_questions_apart() -> None:
    common = {"structural": "query", "semantic": "attr", "detailed": "twoCommon"}
    questions = {"1": ask("red", "query"), "2": ask("color", "query", types=common)}
    choices = {key: {"valid": ["red", "blue"], "plausible": ["red"]} for key in questions}
    given = {"1": "blue", "2": "shape"}
    assert gqa.score_choices(given, questions, choices) == {"validity": 100, "plausibility": 50}


# --- MMBench -------------------------------------------------------------------------------------

CHOICES = {"A": "a teddy bear", "B": "a rabbit", "C": "a cat"}


@pytest.mark.parametrize(
    ("answer", "choice"),
    [
        ("B", "B"),
        ("(B) a rabbit", "B"),
        ("The answer is C.", "C"),
        ("the rabbit, so B", "B"),
        ("It is a rabbit", "B"),
        ("A RABBIT", "A"),  # a letter that stands alone comes before the text
        ("A or B", None),
        ("B is what I would say about this picture", None),  # too far from the end
        ("The answer is **B** because it has rather long ears", "B"),
        ("I'm sorry, but without the image provided I cannot say", "Z"),
        ("Z", "Z"),
        ("", None),
        ("a rabbit or a cat", None),
        ("a rabbit" + " and nothing else at all" * 4, None),  # longer than twice all choices
    ],
)
def test_mmbench_reads_the_choice(answer: str, choice: str | None) -> None:
    assert mmbench.read_choice(answer, CHOICES) == choice


def test_mmbench_wants_every_rotation() -> None:
    def turn(group: int, answer: str, ability: str) -> mmbench.Question:
        return mmbench.Question(group, answer, {"A": "x", "B": "y"}, "ocr", ability, "dev")

    logic = "logic_reasoning"
    questions = {
        1: turn(1, "A", logic), 1_000_001: turn(1, "B", logic), 2: turn(2, "A", "social")
    }  # fmt: skip
    right = mmbench.score_groups({1: "B", 1_000_001: "B", 2: "A"}, questions)
    assert right == {1: False, 2: True}
    assert mmbench.score(right, questions) == {
        "dev": {"Overall": 0.5, "LR": 0.0, "ocr": 0.5, "social": 1.0}
    }


# --- VisDial -------------------------------------------------------------------------------------


def test_visdial_ranks() -> None:
    assert visdial.score_ranks([1, 5, 10, 100]) == {
        "r@1": 0.25, "r@5": 0.5, "r@10": 0.75, "mean": 29.0,
        "mrr": pytest.approx((1 + 0.2 + 0.1 + 0.01) / 4),
    }  # fmt: skip


def test_visdial_ndcg_counts_as_many_as_are_relevant() -> None:
    # Best order: 1, 0.5. Given: 0.5 first, the irrelevant one second; 1 is beyond the second place.
    best = 1 + 0.5 / math.log2(3)
    assert visdial.ndcg([3, 1, 2], [1.0, 0.5, 0.0]) == pytest.approx(0.5 / best)
    assert visdial.ndcg([1, 2, 3], [1.0, 0.5, 0.0]) == 1
    # of equal ranks: both orders, once each
    orders = [visdial.ndcg(ranks, [1.0, 0.5, 0.0]) for ranks in ([1, 2, 3], [2, 1, 3])]
    assert visdial.ndcg([1, 1, 2], [1.0, 0.5, 0.0]) == pytest.approx(sum(orders) / 2)
    assert visdial.ndcg([0, 0, 0], [1.0, 0.5, 0.0]) == pytest.approx(
        0.5 * (1 + 1 / math.log2(3)) / best
    )
    with pytest.raises(ValueError, match="no candidate is relevant"):
        visdial.ndcg([1, 2], [0.0, 0.0])


# --- WebSRC --------------------------------------------------------------------------------------

PAGE = """<html tid="0"><body tid="1"><div tid="2"><ul tid="3"><li tid="4">a<br tid="5"></li>
<li tid="6"><img tid="7"/></li></ul><p tid="8">b</p></div></body></html>"""


def test_websrc_text() -> None:
    assert websrc.exact("The Price: $5.00", "price 500") == 1
    assert websrc.f1("big red car", "the red car") == pytest.approx(2 * 1 * (2 / 3) / (1 + 2 / 3))
    assert websrc.f1("", "the") == 1
    assert websrc.f1("", "red") == websrc.f1("red", "blue") == 0


@pytest.mark.parametrize(
    ("tag", "predicted", "value"),
    [
        (4, [4], 1.0),
        (4, [6], 2 / 4),  # div and ul of div, ul and both items
        (4, [4, 6], 2 / 3),  # what both have in common: div and ul
        (5, [7], 2 / 6),
        (8, [4], 1 / 4),
        (4, [99], 0.0),
        (4, [], 0.0),
        (1, [1], 1.0),
    ],
)
def test_websrc_path_overlap(tag: int, predicted: list[int], value: float) -> None:
    assert websrc.pos(websrc.read_tree(PAGE), tag, 0, predicted) == pytest.approx(value)


@pytest.mark.parametrize(
    ("addition", "predicted", "value"),
    [(0, [9], 1), (0, [10], 0), (1, [10], 1), (1, [9], 0), (1, [4], 0), (1, [10, 11], 0)],
)
def test_websrc_yes_and_no_have_tags_beyond_the_page(
    addition: int, predicted: list[int], value: float
) -> None:
    assert websrc.pos(websrc.read_tree(PAGE), -1, addition, predicted) == value


# --- others --------------------------------------------------------------------------------------


def test_iconqa_by_task_and_skill() -> None:
    problems = {
        "1": iconqa.Problem("choose_txt", ["counting", "scene"], "1"),
        "2": iconqa.Problem("choose_txt", ["counting"], "0"),
        "3": iconqa.Problem("fill_in_blank", ["time"], "12"),
    }
    assert iconqa.score({"1": "1", "2": "1", "3": "12"}, problems) == {
        "TotalAcc": 66.67, "choose_txt": 50.0, "fill_in_blank": 100.0, "counting": 50.0,
        "scene": 100.0, "time": 100.0,
    }  # fmt: skip


def test_vsr_by_meta_category_and_relation() -> None:
    scores = vsr.score([("under", True), ("under", False), ("among", True), ("near by", True)])
    assert scores["accuracy"] == 0.75
    assert scores["meta_category"] == {
        "Projective": {"accuracy": 0.5, "n": 2}, "Unallocated": {"accuracy": 1.0, "n": 1}
    }  # fmt: skip
    assert scores["relation"]["near by"] == {"accuracy": 1.0, "n": 1}


def test_hateful_memes_counts_ties_half() -> None:
    scores = hateful_memes.score([0.9, 0.4, 0.4, 0.1], [1, 0, 1, 1], [1, 1, 0, 0])
    # Of four pairs of a hateful and a harmless one three are in order and one ties.
    assert scores == {"roc_auc": 0.875, "accuracy": 0.25, "TP": 1, "FP": 2, "TN": 0, "FN": 1}
    with pytest.raises(ValueError, match="all right labels are the same"):
        hateful_memes.score([0.5], [1], [1])


def test_bongard_hoi_counts_both_queries() -> None:
    pairs = [(0, 1), (0, 0), (1, 0)]
    assert bongard_hoi.score({"seen_cat_seen_act": pairs}) == {"seen_cat_seen_act": 0.5}
    four: dict[str, list[tuple[int, int]]] = dict(
        zip(bongard_hoi.SPLITS, ([(0, 1)], pairs, pairs, [(1, 0)]), strict=True)
    )
    assert bongard_hoi.score(four)["avg"] == 0.5


def test_video_answers_by_first_word_and_by_two_annotators() -> None:
    questions = {"1": "what is it", "2": "Who runs", "3": "why so"}
    scores = video_qa.score_by_kind({"1": True, "2": False, "3": False}, questions)
    assert scores == {"acc": 1 / 3, "what": 1.0, "who": 0.0}
    answers = ["pan", "a pan", "pot", "Pan", "pan"]
    assert [video_qa.credit(text, answers) for text in ("pan", "pot", "lid")] == [1, 0.5, 0]


def test_wups_totals_go_over_questions_not_over_types() -> None:
    questions = {
        key: wups.Question(kind, ["x"])
        for key, kind in {"1": "CW", "2": "CW", "3": "CH", "4": "TP", "5": "TN"}.items()
    }
    values = {"1": 1.0, "2": 0.5, "3": 0.0, "4": 1.0, "5": 0.0}
    assert wups.score(values, questions) == {
        "CW": 75.0, "CH": 0.0, "TPN": 50.0, "WUPS_C": 50.0, "WUPS_T": 50.0, "WUPS": 50.0
    }  # fmt: skip


def test_wups_of_answers() -> None:
    try:
        wups.load_words()
    except UserError as error:
        pytest.skip(str(error))
    ask = wups.Question
    assert wups.read_words("he was running to the dogs") == ("run", "dog")
    assert wups.score_answer("the dog", ask("CW", ["dogs"])) == 1
    assert wups.score_answer("two", ask("DC", ["three"])) == 0
    # dog and cat meet at carnivore: 2 * 12 / (14 + 14) in WordNet 3.0.
    assert wups.score_answer("cat", ask("DO", ["dog"])) == pytest.approx(6 / 7)
    assert wups.score_answer("cat", ask("DO", ["dog", "cat"])) == 1


def test_wups_says_what_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    import nltk

    monkeypatch.setattr(nltk.data, "path", [])
    with pytest.raises(UserError, match=r"WUPS needs NLTK's wordnet and .*; python -m nltk\.down"):
        wups.load_words()
