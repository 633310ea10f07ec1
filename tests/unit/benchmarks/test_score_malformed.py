"""`mmicl score`: files that Python's own readers fall over, and lines as the files have them."""

from pathlib import Path
from typing import Any

import pytest
import score_inputs as made
from score_inputs import RANKS, RELEVANCE, Make, write

from mmicl.benchmarks.score import score_files
from mmicl.errors import DataError

DIGITS = "9" * 5000
DEEP = "[" * 100_000
TYPES = {"structural": "query", "semantic": "attr", "detailed": "x"}


@pytest.mark.parametrize(("value", "what"), [(DIGITS, "too many digits"), (DEEP, "too deeply")])
@pytest.mark.parametrize(
    ("name", "make", "text", "where"),
    [
        ("vqav2", made.vqa, '[{"question_id": %s, "answer": "red"}]', "results.json"),
        ("vqav2", made.vqa, '{"question_id": 7}\n{"question_id": %s}', "results.json, line 2"),
        ("scienceqa", made.scienceqa, '{"1": %s}', "results.json"),
        ("bongard_hoi", made.bongard_hoi, "[[%s, 1]]", "p.json"),
    ],
)
def test_json_that_python_does_not_take(
    name: str, make: Make, text: str, where: str, value: str, what: str, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=rf"{where}: .*{what}$"):
        score_files(name, *make(tmp_path, text % value))


@pytest.mark.parametrize("digits", ["²", "٣", DIGITS])
@pytest.mark.parametrize(
    ("name", "make", "text", "message"),
    [
        ("winoground", made.winoground, '{"label": "%s_c0_i0", "score": 1}', "is not like 17_c0"),
        ("hateful_memes", made.hateful_memes, "id,proba,label\n%s,0.5,0\n", "is no number"),
        ("scienceqa", made.scienceqa, '{"1": "%s"}', "is no number of a choice"),
    ],
)
def test_what_only_looks_like_a_number_is_none(
    name: str, make: Make, text: str, message: str, digits: str, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=message):
        score_files(name, *make(tmp_path, text % digits))


def test_an_index_that_only_looks_like_a_number_is_none(tmp_path: Path) -> None:
    answers = {"index": ["²"], "prediction": ["A"]}
    with pytest.raises(DataError, match="index '²' is no number"):
        score_files("mmbench", *made.mmbench(tmp_path, answers))


def test_a_nextqa_answer_that_only_looks_like_a_number_is_none(tmp_path: Path) -> None:
    predictions, references = made.nextqa(tmp_path)
    write(references, references.read_text().replace("why,0,", "why,²,"))
    with pytest.raises(DataError, match=r"val\.csv, line 2: type 'CH', answer '²'"):
        score_files("nextqa", predictions, references)


def test_the_group_of_an_mmbench_row_is_a_number(tmp_path: Path) -> None:
    predictions, _ = made.mmbench(tmp_path)
    table = "index\tA\tB\tanswer\tg_index\n1\tx\ty\tA\t%s\n1000001\ty\tx\tB\t1.0\n2\tx\ty\tB\t\n"
    references = write(tmp_path / "data.tsv", table % "1")
    assert score_files("mmbench", predictions, references)["metrics"]["Overall"] == 0.5
    write(references, table % "one")
    with pytest.raises(DataError, match=r"data\.tsv: g_index 'one' is no number"):
        score_files("mmbench", predictions, references)


@pytest.mark.parametrize(
    "values",
    [["1"] + ["0"] * 99, ["high"] * 100, [True] * 100, [None] * 100, [0] * 100, [-1] * 100, [1]],
)
def test_the_relevance_of_a_visdial_round_is_of_numbers(values: Any, tmp_path: Path) -> None:
    predictions, folder = made.visdial(tmp_path)
    dense = folder / "visdial_1.0_val_dense_annotations.json"
    write(dense, [{"image_id": 7, "round_id": 2, "gt_relevance": values}])
    with pytest.raises(DataError, match=r"annotations\.json, entry 1: gt_relevance is not 100 num"):
        score_files("visdial", predictions, folder)
    write(dense, [{"image_id": 7, "round_id": 2, "gt_relevance": [1, 0.5, *RELEVANCE[2:]]}])
    rows = [{"image_id": 7, "round_id": number, "ranks": RANKS} for number in (1, 2)]
    assert score_files("visdial", write(predictions, rows), folder)["metrics"]["ndcg"] == 1.0


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ({"semantic": ["select"]}, '"select" in semantic is not an object'),
        ({"semantic": [{"operation": "select"}]}, "no argument"),
        ({"entailed": 5}, "entailed is not a list of questions"),
        ({"entailed": [["2"]]}, "entailed is not a list of questions"),
        ({"groups": {"global": []}}, "the global group is not a name"),
    ],
)
def test_a_gqa_question_of_another_shape_is_named(part: Any, message: str, tmp_path: Path) -> None:
    predictions, folder = made.gqa(tmp_path)
    question: dict[str, Any] = {
        "question": "what", "answer": "red", "isBalanced": True, "types": TYPES, "groups": {},
        "semantic": [{"operation": "select", "argument": "dog (1)"}], "entailed": None,
    }  # fmt: skip
    references = write(folder / "val_all_questions.json", {"1": question})
    assert score_files("gqa", predictions, references)["metrics"]["accuracy"] == 100.0
    write(references, {"1": question | part})
    with pytest.raises(DataError, match=rf"val_all_questions\.json, 1: {message}"):
        score_files("gqa", predictions, references)


def test_a_flickr30k_picture_has_captions(tmp_path: Path) -> None:
    predictions, references = made.flickr30k(tmp_path)
    write(references, {"images": [{"filename": "11.jpg", "split": "test", "sentences": []}]})
    with pytest.raises(DataError, match=r"entry 1: no sentences"):
        score_files("flickr30k", predictions, references)


@pytest.mark.parametrize(
    ("file", "value", "message"),
    [
        ("pid2skills.json", {"5": [["counting"]], "6": []}, "skills of 5 are not texts"),
        ("pid_splits.json", {"choose_img_test": [["5"]]}, "is not a list of problems"),
        ("pid_splits.json", {"choose_img_test": [5]}, "is not a list of problems"),
    ],
)
def test_iconqas_lists_are_of_texts(file: str, value: Any, message: str, tmp_path: Path) -> None:
    predictions, folder = made.iconqa(tmp_path)
    write(folder / file, value)
    with pytest.raises(DataError, match=message):
        score_files("iconqa", predictions, folder)


def test_an_stvqa_answer_of_pages_is_wrong(tmp_path: Path) -> None:
    """The library that compares texts refuses long ones."""
    rows = [{"question_id": 1, "answer": "stop"}, {"question_id": 2, "answer": "stop " * 999}]
    assert score_files("stvqa", *made.stvqa(tmp_path, rows))["metrics"] == {"ANLS": 0.5}


@pytest.mark.parametrize("sign", ["\x0c", "\x0b", "\x1c", "\x85", "\u2028", "\r\n"])
def test_only_a_line_feed_ends_a_line(sign: str, tmp_path: Path) -> None:
    """The official tools keep the others, so that an answer may have them."""
    within, end = ("", sign) if sign == "\r\n" else (sign, "\n")
    rows = [f"1.jpg\tIs it {label}?\t{label}\tYes{within}." for label in ("Yes", "No")]
    scored = score_files("mme", *made.mme(tmp_path / "mme", end.join([*rows, ""])))
    assert scored["metrics"]["OCR"] == 50.0
    predictions, references = made.vsr(tmp_path / "vsr", f"0{within}{end}0{end}{end}")
    assert score_files("vsr", predictions, references)["metrics"]["accuracy"] == 0.5
    captions, _ = made.flickr30k(tmp_path / "flickr30k")
    tokens = [f"{name}.jpg#0\ta red cat{within} on a mat" for name in (11, 12)]
    references = write(tmp_path / "results_20130124.token", end.join(tokens))
    assert score_files("flickr30k", captions, references)["n"] == 2
