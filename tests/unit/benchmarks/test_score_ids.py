"""`mmicl score` on files that answer too little, too much, twice, nothing, or another split.

Each benchmark's form is written from ids and one answer, so that every mistake can be made in every
form: none may pass without an error or a counted warning.
"""

import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import score_inputs as made
from score_inputs import RANKS, Make, lines

from mmicl.benchmarks.official import OFFICIAL
from mmicl.benchmarks.score import score_files
from mmicl.errors import DataError, UserError


@dataclass(frozen=True)
class Form:
    """A benchmark's form of predictions, beside references of a few records.

    Attributes:
        make: Writes references, and predictions of the content given.
        ids: All that the references ask for.
        other: An id that they do not have, as a file of another split would.
        write: Ids and an answer -> the content.
        right: An answer; `wrong` is one of another type, None where every text is an answer.
        words: Whether answers are words, so that an empty one is an answer.
        empty: How many answers are counted where all are empty, if not one for each id.
        missing: The warning, where a missing id is none of the official tool's errors.
        unknown: The same of an unknown one.
        name: How errors name an id.
        benchmark: Where the form's key is not its name.
    """

    make: Make
    ids: Sequence[Any]
    other: Any
    write: Callable[[Sequence[Any], Any], Any]
    right: Any = "red"
    wrong: Any = True
    words: bool = False
    empty: int | None = None
    missing: str = ""
    unknown: str = ""
    name: Callable[[Any], str] = str
    benchmark: str = ""


def rows(key: str, answer: str) -> Callable[[Sequence[Any], Any], Any]:
    return lambda ids, value: [{key: one, answer: value} for one in ids]


def dump_pairs(pairs: Iterable[tuple[str, Any]]) -> str:
    """A JSON object in which a key may stand twice."""
    return "{" + ", ".join(f"{json.dumps(key)}: {json.dumps(value)}" for key, value in pairs) + "}"


def mapping(ids: Sequence[str], value: Any) -> str:
    return dump_pairs((key, value) for key in ids)


def results(ids: Sequence[str], value: Any) -> str:
    return f'{{"results": {mapping(ids, value)}}}'


def table(head: str, row: str) -> Callable[[Sequence[Any], Any], str]:
    """CSV lines in which `{0}` is the id and `{1}` the answer."""
    return lambda ids, value: head + "".join(row.format(one, value) + "\n" for one in ids)


def nested(ids: Sequence[str], value: Any) -> str:
    return dump_pairs((video, {number: value}) for video, number in (one.split("_") for one in ids))


def ranks(ids: Sequence[tuple[int, int]], value: Any) -> Any:
    return [{"image_id": image, "round_id": turn, "ranks": value} for image, turn in ids]


def scores(ids: Sequence[str], value: Any) -> str:
    return lines(*({"id": one, "scores": value} for one in ids))


def cells(ids: Sequence[int], value: Any) -> str:
    labels = [f"{one}_c{caption}_i{image}" for one in ids for caption in (0, 1) for image in (0, 1)]
    return lines(*({"label": label, "score": value} for label in labels))


def two_lines(ids: Sequence[int], value: Any) -> str:
    """Two questions of each picture."""
    return "".join(
        f"{one:04}.jpg\tIs it {label}?\t{label}\t{value}\n"
        for one in ids
        for label in ("Yes", "No")
    )


RATIONALES = [f"rationale_conditioned_on_a{a}_{r}" for a in (0, 1) for r in range(4)]
VQA = Form(made.vqa, [7, 8], 9, rows("question_id", "answer"), words=True)
CAPTIONS = Form(
    made.coco_caption, [1, 2], 9, rows("image_id", "caption"), words=True,
    missing="1 of 2 images have no caption and are not scored",
)  # fmt: skip
VIDEOS = Form(made.video_qa, ["1", "2"], "9", rows("id", "answer"), words=True)
WINOGROUND = Form(made.winoground, [0, 1], 2, cells, 0.5, name=lambda one: f"({one}, 0")
FORMS = {
    **dict.fromkeys(("vqav2", "okvqa", "textvqa", "vizwiz"), VQA),
    **dict.fromkeys(("msvd_qa", "msrvtt_qa"), VIDEOS),
    "aokvqa": Form(
        made.aokvqa, ["q", "r"], "x",
        lambda ids, value: dump_pairs((one, {"direct_answer": value}) for one in ids),
        words=True, missing="DA: 1 of 2 have no prediction, wrong",
    ),
    "blink": Form(
        made.blink, [f"val_Counting_{n}" for n in range(1, 121)], "test_Counting_1",
        lambda ids, value: [{"idx": one, "answer": "(A)", "prediction": value} for one in ids],
        words=True, missing="Counting: 1 of 120 questions are missing, not scored",
    ),
    "coco_caption": CAPTIONS,
    "flickr30k": replace(CAPTIONS, make=made.flickr30k, ids=["11.jpg", "12.jpg"], other="13",
                         name=lambda one: one.removesuffix(".jpg")),
    "gqa": Form(
        made.gqa, ["1", "2"], "9", rows("questionId", "prediction"), words=True, empty=1,
        unknown="1 predictions for unknown questions",
    ),
    "hateful_memes": Form(
        made.hateful_memes, [1, 2], 9, table("id,proba,label\n", "{0},0.5,{1}"), 0, "x"
    ),
    "iconqa": Form(made.iconqa, ["5", "6"], "7", results, 1),
    "iconqa, written": Form(
        partial(made.iconqa, task="fill_in_blank"), ["5", "6"], "7", results, words=True,
        benchmark="iconqa",
    ),
    "ivqa": Form(made.ivqa, ["0", "1"], "2", mapping, words=True),
    "mmbench": Form(
        made.mmbench, [1, 1_000_001, 2], 9,
        lambda ids, value: {"index": list(ids), "prediction": [value] * len(ids)}, "A", None,
        words=True,
    ),
    "nextqa": Form(
        made.nextqa, ["4_6", "4_7"], "5_0", mapping, 1,
        unknown="1 predictions for unknown questions",
    ),
    "nextqa, with the answers": Form(
        made.nextqa, ["4_6", "4_7"], "5_0",
        lambda ids, value: dump_pairs((one, {"prediction": value}) for one in ids), 1,
        unknown="1 predictions for unknown questions", benchmark="nextqa",
    ),
    "nextqa_open": Form(
        made.nextqa_open, ["4_6", "5_0"], "9_1", nested, words=True,
        unknown="1 predictions for unknown questions",
    ),
    "nlvr1": Form(
        made.nlvr1, ["25-0", "25-1"], "99-0",
        lambda ids, value: "".join(f"dev-{one}-{k}.png,{value}\n" for one in ids for k in range(6)),
        "true", "maybe", unknown="6 predictions for unknown identifiers",
    ),
    "nlvr2": Form(
        made.nlvr2, ["dev-1-0-0", "dev-1-1-0"], "test1-1-0-0", table("", "{0},{1}"), "True",
        "maybe", unknown="1 predictions for unknown identifiers",
    ),
    "nocaps": replace(CAPTIONS, make=made.nocaps, ids=[0, 1], missing=""),
    "raven": Form(made.raven, ["a", "b"], "c", scores, [1, 0, 0, 0, 0, 0, 0, 0], [True] * 8),
    "raven_iq": Form(made.raven_iq, ["a", "b"], "c", scores, [1, 0, 0, 0, 0, 0], [True] * 6),
    "scienceqa": Form(made.scienceqa, ["1", "2"], "9", results, 1),
    "stvqa": replace(VQA, make=made.stvqa, ids=[1, 2]),
    "vcr": Form(
        made.vcr, ["val-0", "val-1"], "train-0",
        table("annot_id,answer_0,answer_1,answer_2,answer_3\n", "{0},{1},0,0,0"), 0.5, "high",
    ),
    "vcr_rationale": Form(
        made.vcr, ["val-0", "val-1"], "train-0",
        table(f"annot_id,{','.join(RATIONALES)}\n", "{0},{1},0,0,0,{1},0,0,0"), 0.5, "high",
    ),
    "visdial": Form(made.visdial, [(7, 1), (7, 2)], (8, 1), ranks, RANKS, [True] * 100),
    "websrc": Form(
        made.websrc, ["bo010000100000", "bo010000100001"], "bo020000100000", mapping, words=True
    ),
    "winoground": replace(WINOGROUND, benchmark="winoground"),
    "winoground, all 400": replace(
        WINOGROUND, make=made.winoground_alone, ids=range(400), other=400,
        missing="1 of 400 items have no scores, not scored", benchmark="winoground",
    ),
}  # fmt: skip
MME = Form(
    made.mme, range(1, 21), 21, two_lines, "yes", None, words=True, empty=40,
    missing="OCR: 2 of 40 answers are missing, not scored",
)  # fmt: skip
"""Its pictures have their numbers in each sub-task, so that no id tells one from another."""
IN_ORDER = {"bongard_hoi", "pope", "vsr"}
"""Their forms have no ids, but for the questions that POPE's answers repeat."""


def score(key: str, form: Form, folder: Path, ids: Sequence[Any], answer: Any) -> dict[str, Any]:
    """What `mmicl score` makes of a file for these ids."""
    try:
        predictions, references = form.make(folder, form.write(ids, answer))
        return score_files(form.benchmark or key, predictions, references)
    except UserError as error:
        if "WUPS needs" in str(error):
            pytest.skip(str(error))
        raise


ALL = pytest.mark.parametrize("key", [*FORMS, "mme"])
TOLD_APART = pytest.mark.parametrize("key", FORMS)


def find(key: str) -> Form:
    return MME if key == "mme" else FORMS[key]


def test_every_benchmark_has_its_form() -> None:
    names = {form.benchmark or key for key, form in FORMS.items()}
    assert names | IN_ORDER | {"mme"} == set(OFFICIAL)


@ALL
def test_a_whole_file_is_scored(key: str, tmp_path: Path) -> None:
    form = find(key)
    found = score(key, form, tmp_path, form.ids, form.right)
    assert found["n"]
    notes = " ".join(found.get("warnings", ()))
    assert "no caption" not in notes
    assert "not scored" not in notes
    assert "answers are empty" not in notes


@ALL
def test_a_missing_id_is_an_error_or_counted(key: str, tmp_path: Path) -> None:
    form = find(key)
    if form.missing:
        found = score(key, form, tmp_path, form.ids[1:], form.right)
        assert [note for note in found["warnings"] if form.missing in note], found
        return
    name = re.escape(form.name(form.ids[0]))
    with pytest.raises(DataError, match=rf"of \d+ have no prediction, the first is {name}"):
        score(key, form, tmp_path, form.ids[1:], form.right)


@ALL
def test_an_id_twice_is_an_error(key: str, tmp_path: Path) -> None:
    form = find(key)
    with pytest.raises(DataError, match="stands twice") as caught:
        score(key, form, tmp_path, [*form.ids, form.ids[0]], form.right)
    assert str(tmp_path) in str(caught.value)


@TOLD_APART
def test_an_unknown_id_is_an_error_or_counted(key: str, tmp_path: Path) -> None:
    form = find(key)
    ids = [*form.ids, form.other]
    if form.unknown:
        found = score(key, form, tmp_path, ids, form.right)
        assert [note for note in found["warnings"] if form.unknown in note], found
        return
    with pytest.raises(DataError, match=re.escape(form.name(form.other))):
        score(key, form, tmp_path, ids, form.right)


@TOLD_APART
def test_another_split_is_an_error_that_names_an_id(key: str, tmp_path: Path) -> None:
    form = find(key)
    with pytest.raises(DataError, match=re.escape(form.name(form.other))) as caught:
        score(key, form, tmp_path, [form.other], form.right)
    assert str(tmp_path) in str(caught.value)


@ALL
def test_empty_answers_are_counted_or_refused(key: str, tmp_path: Path) -> None:
    form = find(key)
    if form.words:
        count = form.empty or len(form.ids)
        wanted = f"{count} answers are empty, scored as the official tool does"
        assert wanted in score(key, form, tmp_path, form.ids, "")["warnings"]
        assert wanted in score(key, form, tmp_path, form.ids, "  ")["warnings"]
    else:
        with pytest.raises(DataError):
            score(key, form, tmp_path, form.ids, "")


@pytest.mark.parametrize("key", [key for key, form in FORMS.items() if form.wrong is not None])
def test_an_answer_of_another_type_is_an_error(key: str, tmp_path: Path) -> None:
    form = find(key)
    with pytest.raises(DataError) as caught:
        score(key, form, tmp_path, form.ids, form.wrong)
    assert str(tmp_path) in str(caught.value)


@pytest.mark.parametrize("key", ["iconqa", "nextqa", "nextqa, with the answers", "scienceqa"])
@pytest.mark.parametrize("number", [1.9, 1.0, True, None, "x", "1.9", [1]])
def test_only_the_number_of_a_choice_is_one(key: str, number: object, tmp_path: Path) -> None:
    form = find(key)
    with pytest.raises(DataError) as caught:
        score(key, form, tmp_path, form.ids, number)
    assert f"{tmp_path}" in str(caught.value)
    assert f", {form.ids[0]}: " in str(caught.value)


@pytest.mark.parametrize("key", ["iconqa", "nextqa", "nextqa, with the answers", "scienceqa"])
@pytest.mark.parametrize("number", [-1, 5])
def test_a_choice_that_there_is_not_is_wrong_and_counted(
    key: str, number: int, tmp_path: Path
) -> None:
    form = find(key)
    scored = score(key, form, tmp_path, form.ids, number)
    assert f"{len(form.ids)} predictions are none of the choices, wrong" in scored["warnings"]


def test_a_blink_question_of_another_task_is_an_error(tmp_path: Path) -> None:
    entries = [{"idx": "val_Jigsaw_1", "answer": "(A)", "prediction": "(A)"}]
    message = r"entry 1: idx 'val_Jigsaw_1' is none of val_Counting_1 to val_Counting_120"
    with pytest.raises(DataError, match=message):
        score_files("blink", *made.blink(tmp_path, entries))


def test_mme_has_no_more_questions_than_it_has(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"OCR\.txt: 42 lines, but there are 40 questions"):
        score("mme", MME, tmp_path, range(1, 22), "yes")


def test_an_mme_question_is_of_one_sub_task(tmp_path: Path) -> None:
    folder, _ = made.mme(tmp_path, two_lines(range(1, 3), "yes"))
    rows = [f"0001.jpg\tIs it {label} there?\t{label}\tyes\n" for label in ("Yes", "No")]
    count = made.write(folder / "count.txt", "".join(rows))
    assert score_files("mme", folder)["n"] == 6  # another question about the same picture
    count.write_text("".join(rows) + two_lines([2], "no"))
    message = r"results: 0002\.jpg, 'Is it Yes\?' stands in count\.txt and in OCR\.txt; give each"
    with pytest.raises(DataError, match=message):
        score_files("mme", folder)


def test_pope_answers_without_their_question_are_counted(tmp_path: Path) -> None:
    scored = score_files("pope", *made.pope(tmp_path, [{"answer": "yes"}, {"answer": ""}]))
    assert scored["warnings"] == [
        "2 answers do not repeat their question: that they are those of coco_pope_random.json, "
        "in its order, cannot be checked",
        "1 answers are empty, scored as the official tool does",
    ]
    assert "warnings" not in score_files("pope", *made.pope(tmp_path))


def test_pope_answers_without_their_question_are_compared_by_picture(tmp_path: Path) -> None:
    files = made.pope(tmp_path, [{"answer": "yes"}, {"answer": "yes", "image": "val2014/2.jpg"}])
    with pytest.raises(DataError, match=r"line 2: the image is not .*, which stands at this place"):
        score_files("pope", *files)


def test_a_folder_of_pope_answers_keeps_its_warnings(tmp_path: Path) -> None:
    answers, references = made.pope(tmp_path, [{"answer": ""}] * 2)
    folder = tmp_path / "answers"
    folder.mkdir()
    answers.rename(folder / "coco_pope_random.jsonl")
    warnings = score_files("pope", folder, references)["warnings"]
    assert warnings[0].startswith("coco_pope_random: 2 answers do not repeat their question")
    assert warnings[-1] == "2 answers are empty, scored as the official tool does"
