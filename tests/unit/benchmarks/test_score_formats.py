"""`mmicl score` reads each benchmark's official files, and refuses what does not fit them."""

import json
from pathlib import Path
from typing import Any

import pytest
from score_inputs import (
    RANKS,
    Make,
    aokvqa,
    bongard_hoi,
    flickr30k,
    gqa,
    hateful_memes,
    iconqa,
    ivqa,
    lines,
    mmbench,
    nextqa_open,
    nocaps,
    raven_iq,
    stvqa,
    video_qa,
    visdial,
    vsr,
    websrc,
    write,
)

from mmicl.benchmarks.score import score_files
from mmicl.errors import DataError, UserError

GOOD: dict[str, tuple[Make, dict[str, Any]]] = {
    "aokvqa": (aokvqa, {"MC": 100.0, "DA": 100.0}),
    "stvqa": (stvqa, {"ANLS": 0.75}),
    "gqa": (gqa, {"accuracy": 100.0, "consistency": 0.0, "validity": 100.0, "plausibility": 0.0}),
    "msvd_qa": (video_qa, {"acc": 0.5, "what": 0.5}),
    "msrvtt_qa": (video_qa, {"acc": 0.5, "what": 0.5}),
    "ivqa": (ivqa, {"acc": 0.75}),
    "visdial": (visdial, {"r@1": 0.5, "mean": 5.5, "mrr": 0.55, "ndcg": 1.0}),
    "vsr": (vsr, {"accuracy": 0.5}),
    "hateful_memes": (hateful_memes, {"accuracy": 1.0, "roc_auc": 0.0, "TP": 1, "TN": 1}),
    "bongard_hoi": (bongard_hoi, {"seen_cat_seen_act": 0.75}),
    "iconqa": (iconqa, {"TotalAcc": 50.0, "counting": 100.0, "scene": 0.0}),
    "raven_iq": (raven_iq, {"accuracy": 1.0}),
    "mmbench": (mmbench, {"Overall": 0.5, "ocr": 0.5, "social": 0.5}),
    "websrc": (websrc, {"exact": 50.0, "f1": 50.0, "pos": 50.0, "bo01_exact": 50.0, "total": 2}),
    "flickr30k": (flickr30k, {"Bleu_4": pytest.approx(1.0), "ROUGE_L": 1.0}),
}


@pytest.mark.parametrize("name", sorted(GOOD))
def test_official_files_are_read(name: str, tmp_path: Path) -> None:
    make, wanted = GOOD[name]
    scored = score_files(name, *make(tmp_path))
    assert {key: scored["metrics"][key] for key in wanted} == wanted
    json.dumps(scored)


BAD: list[tuple[str, Make, Any, str]] = [
    ("aokvqa", aokvqa, {"x": {"direct_answer": "cab"}}, "1 unknown questions, the first is x"),
    ("aokvqa", aokvqa, {"q": "cab"}, "bare answers do not say for which setting"),
    ("aokvqa", aokvqa, {"q": {"direct_answer": 3}}, "direct_answer is 3, not str"),
    ("stvqa", stvqa, [{"question_id": 1, "answer": "x"}], "1 of 2 have no prediction"),
    ("stvqa", stvqa, [{"question_id": 1, "answer": "x"}] * 2, "1 stands twice"),
    ("stvqa", stvqa, [{"question_id": 1, "answer": None}], "answer is null, not str"),
    ("gqa", gqa, [{"questionId": "2", "prediction": "x"}], "1 of 1 have no prediction"),
    ("gqa", gqa, [{"questionId": 1, "prediction": "x"}], "questionId is 1, not str"),
    ("msvd_qa", video_qa, [{"id": 1, "answer": "x"}, {"id": 9, "answer": "x"}], "first is 2"),
    ("ivqa", ivqa, {"0": "pan", "1": "pot", "2": "x"}, "the first is 2"),
    ("ivqa", ivqa, {"0": "pan", "1": ["pot"]}, "answer is .*, not str"),
    ("visdial", visdial, [{"image_id": 7, "round_id": 1, "ranks": RANKS}], "first is \\(7, 2\\)"),
    ("visdial", visdial, [{"image_id": 7, "round_id": 1, "ranks": [1] * 100}], "each of 1, 2, … o"),
    ("visdial", visdial, [{"image_id": 7, "round_id": 1, "ranks": [1, 2]}], "2 ranks, not 100"),
    ("vsr", vsr, "0\n", "1 predictions for 2 statements"),
    ("vsr", vsr, "0\nTrue\n", "line 2: 'True' is neither 0 nor 1"),
    ("hateful_memes", hateful_memes, "id,proba,label\n1,2.5,0\n", "proba is 2.5, not within"),
    ("hateful_memes", hateful_memes, "id,proba,label\n1,0.5,\n", "label is '', neither 0 nor 1"),
    ("hateful_memes", hateful_memes, "id,proba,label\n1,0.5,0\n", "1 of 2 have no prediction"),
    ("bongard_hoi", bongard_hoi, [[0, 1]], "1 pairs for 2 problems"),
    ("bongard_hoi", bongard_hoi, [[0, 1], [0, 2]], "entry 2: .* is not a pair of 0 or 1"),
    ("bongard_hoi", bongard_hoi, [[0, 1], [0, True]], "entry 2: .* is not a pair of 0 or 1"),
    ("bongard_hoi", bongard_hoi, [[0, 1], [0, 1.0]], "entry 2: .* is not a pair of 0 or 1"),
    ("iconqa", iconqa, {"results": {"5": 1}}, "1 of 2 have no prediction, the first is 6"),
    ("iconqa", iconqa, {"results": {"5": 1, "6": 1, "7": 1}}, "the first is 7"),
    ("raven_iq", raven_iq, lines({"id": "a", "scores": [1, 0]}), "2 scores, not 6"),
    ("mmbench", mmbench, {"index": [1, 2], "prediction": ["A", "A"]}, "1 of 3 have no prediction"),
    ("mmbench", mmbench, {"index": [1, 1], "prediction": ["A", "A"]}, "1 stands twice"),
    ("mmbench", mmbench, {"index": ["x"], "prediction": ["A"]}, "index 'x' is no number"),
    ("mmbench", mmbench, {"index": [1]}, "no column prediction"),
    ("websrc", websrc, {"bo010000100000": "Red."}, "1 of 2 have no prediction"),
    (
        "flickr30k",
        flickr30k,
        [{"image_id": 13, "caption": "x"}],
        "without references, the first 13",
    ),
    ("nocaps", nocaps, [{"image_id": 0, "caption": "x"}], "1 of 2 have no prediction"),
    (
        "nextqa_open",
        nextqa_open,
        {"4": {"7": "cat"}},
        "2 of 2 have no prediction, the first is 4_6; 1 predictions .* the first is 4_7",
    ),
    ("nextqa_open", nextqa_open, {"4": "cat"}, "is not an object of answers by qid"),
]


@pytest.mark.parametrize(("name", "make", "answers", "message"), BAD)
def test_what_does_not_fit_is_refused(
    name: str, make: Make, answers: Any, message: str, tmp_path: Path
) -> None:
    with pytest.raises((DataError, UserError), match=message):
        score_files(name, *make(tmp_path, answers))


def test_nocaps_scores_each_domain_on_its_own(tmp_path: Path) -> None:
    scored = score_files("nocaps", *nocaps(tmp_path))
    assert scored["n"] == 2
    assert scored["metrics"]["B4"] == {
        part: pytest.approx(1.0) for part in ("in-domain", "out-domain", "entire")
    }
    # A single image's words are in all images, so that they weigh nothing.
    assert scored["metrics"]["CIDEr"]["in-domain"] == 0
    assert scored["metrics"]["CIDEr"]["entire"] > 5


def test_aokvqa_counts_what_it_takes_as_wrong(tmp_path: Path) -> None:
    answers = {"q": {"multiple_choice": "train"}}
    scored = score_files("aokvqa", *aokvqa(tmp_path, answers))
    assert scored["metrics"] == {"MC": 0.0}
    assert scored["warnings"] == [
        "MC: 1 of 2 have no prediction, wrong", "MC: 1 predictions are none of the choices, wrong"
    ]  # fmt: skip


def test_aokvqa_takes_a_file_a_setting(tmp_path: Path) -> None:
    _, references = aokvqa(tmp_path)
    folder = tmp_path / "out"
    write(folder / "predictions_val-mc.json", {"q": "cab", "r": "bus"})
    write(folder / "predictions_val-da.json", {"q": "taxi", "r": "x"})
    assert score_files("aokvqa", folder, references)["metrics"] == {"MC": 50.0, "DA": 50.0}


def test_gqa_says_what_it_cannot_compute(tmp_path: Path) -> None:
    predictions, folder = gqa(tmp_path, [{"questionId": "1", "prediction": "red"}])
    (folder / "val_choices.json").unlink()
    scored = score_files("gqa", predictions, folder / "val_all_questions.json")
    assert set(scored["metrics"]["not_computed"]) == {
        "grounding", "consistency", "validity, plausibility"
    }  # fmt: skip
    assert "consistency" not in scored["metrics"]


def test_websrc_without_tags_has_no_path_overlap(tmp_path: Path) -> None:
    folder, data = websrc(tmp_path)
    scored = score_files("websrc", folder / "predictions_.json", data)
    assert "pos" not in scored["metrics"]
    assert "tag_predictions" in scored["metrics"]["not_computed"]["pos"]


def test_websrc_reads_the_baselines_own_file(tmp_path: Path) -> None:
    folder, data = websrc(tmp_path)
    answers = [{"text": "red", "element_id": 2, "answer_start": 0}]
    questions = [
        {"id": "bo010000100000", "answers": answers},
        {"id": "bo010000100001", "answers": []},
    ]
    websites = [{"page_id": "0100001", "qas": questions}]
    whole = {"data": [{"domain": "book", "websites": websites}]}
    write(data / "websrc1.0_dev_.json", whole)
    scored = score_files("websrc", folder, data)["metrics"]
    assert (scored["HasAns_exact"], scored["NoAns_exact"]) == (100.0, 0.0)


def test_mmbench_counts_answers_that_name_no_choice(tmp_path: Path) -> None:
    answers = {"index": [1, 1_000_001, 2], "prediction": ["A", "B", "neither"]}
    scored = score_files("mmbench", *mmbench(tmp_path, answers))
    assert scored["warnings"][0].startswith("1 of 3 answers name no choice")


@pytest.mark.parametrize("content", [b"", b"junk", b"PK\x03\x04junk"])
def test_mmbench_refuses_a_broken_spreadsheet(content: bytes, tmp_path: Path) -> None:
    predictions, references = mmbench(tmp_path)
    predictions.write_bytes(content)
    with pytest.raises(DataError, match=r"submission\.xlsx: not a table"):
        score_files("mmbench", predictions, references)


def test_bongard_hoi_folder_without_a_split_has_no_average(tmp_path: Path) -> None:
    for place in ("seen_cat_seen_act", "seen_cat_unseen_act"):
        write(tmp_path / "r" / f"bongard_hoi_test_{place}.json", [[[], [], "a++b"]])
    write(tmp_path / "p" / "bongard_hoi_test_seen_cat_seen_act.json", [[0, 1]])
    scored = score_files("bongard_hoi", tmp_path / "p", tmp_path / "r")
    assert scored["metrics"] == {"seen_cat_seen_act": 1.0}
    assert "no bongard_hoi_test_seen_cat_unseen_act.json" in scored["warnings"][0]


def test_iconqa_says_which_sub_tasks_are_missing(tmp_path: Path) -> None:
    scored = score_files("iconqa", *iconqa(tmp_path))
    assert scored["warnings"] == [
        "no answers for choose_img, fill_in_blank: TotalAcc is without them"
    ]


def test_scienceqa_takes_the_ids_of_language_bias(tmp_path: Path) -> None:
    part = {"split": "test", "subject": "social science", "grade": "grade1", "hint": ""}
    problems = {key: {**part, "image": "image.png", "answer": 0} for key in ("1", "2")}
    references = write(tmp_path / "problems.json", problems)
    results = write(tmp_path / "results.json", {"results": {"1": 0, "2": 1}})
    assert "gap" not in score_files("scienceqa", results, references)["metrics"]
    split = write(tmp_path / "language_bias.json", {"needs_image": ["2"], "needs_no_image": ["1"]})
    assert score_files("scienceqa", results, references)["metrics"]["gap"] == 100.0
    write(split, {"needs_image": ["2"], "needs_no_image": ["9"]})
    with pytest.raises(DataError, match=r"problem 9 of language_bias\.json is no test problem"):
        score_files("scienceqa", results, references)


def test_flickr30k_reads_the_original_captions(tmp_path: Path) -> None:
    predictions, _ = flickr30k(tmp_path)
    tokens = "11.jpg#0\tA red cat on a mat .\n12.jpg#0\tA red cat on a mat .\n"
    references = write(tmp_path / "results_20130124.token", tokens)
    scored = score_files("flickr30k", predictions, references)
    assert scored["metrics"]["ROUGE_L"] == 1.0


def test_nextqa_open_needs_wordnet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import nltk

    monkeypatch.setattr(nltk.data, "path", [])
    with pytest.raises(UserError, match="WUPS needs NLTK's"):
        score_files("nextqa_open", *nextqa_open(tmp_path))
