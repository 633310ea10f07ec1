"""`mmicl score` takes a folder of official files, those of VizWiz and TextVQA as they come too."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import score_inputs as made
from score_inputs import Files, Make, write

from mmicl.benchmarks.score import score_files
from mmicl.errors import DataError

ANSWERS = ["red"] * 6 + ["blue"] * 4


def vizwiz(folder: Path, answers: Any = None) -> Files:
    """The official files, in which a question is its photo's."""
    questions = [
        {
            "image": f"VizWiz_val_{number:08}.jpg", "question": "What is it?",
            "answers": [{"answer": text, "answer_confidence": "yes"} for text in ANSWERS],
            "answer_type": kind, "answerable": 1,
        }
        for number, kind in enumerate(("other", "yes/no"))
    ]  # fmt: skip
    references = write(folder / "val.json", questions)
    good = [{"image": one["image"], "answer": "red"} for one in questions[:1]]
    good += [{"image": one["image"], "answer": "no"} for one in questions[1:]]
    return write(folder / "results.json", good if answers is None else answers), references


def textvqa(folder: Path, answers: Any = None) -> Files:
    """The official file, whose answers are plain texts."""
    data = [
        {"question_id": key, "image_id": "0a", "question": "what is it?", "answers": ANSWERS}
        for key in (7, 8)
    ]
    whole = {"dataset_type": "val", "dataset_name": "textvqa", "data": data}
    references = write(folder / "TextVQA_0.5.1_val.json", whole)
    good = [{"question_id": 7, "answer": "red"}, {"question_id": 8, "answer": "no"}]
    return write(folder / "results.json", good if answers is None else answers), references


def nlvr1(folder: Path) -> Files:
    rows = [f"dev-25-{n}-{order}.png,true\n" for n in (0, 1) for order in range(6)]
    return made.nlvr1(folder, "".join(rows))


def visdial(folder: Path) -> Files:
    ranks, references = made.visdial(folder)
    return ranks, references / "visdial_1.0_val.json"


BOTH_SPLITS: dict[str, tuple[Make, str, str]] = {
    "coco_caption": (made.coco_caption, "captions_val2014.json", "captions_train2014.json"),
    "nlvr1": (nlvr1, "dev.json", "train.json"),
    "nlvr2": (made.nlvr2, "dev.json", "train.json"),
    "okvqa": (made.vqa, "mscoco_val2014_annotations.json", "mscoco_train2014_annotations.json"),
    "textvqa": (textvqa, "TextVQA_0.5.1_val.json", "TextVQA_0.5.1_train.json"),
    "textvqa, VQA's form": (
        made.vqa, "val_annotations_vqa_format.json", "train_annotations_vqa_format.json"
    ),
    "visdial": (visdial, "visdial_1.0_val.json", "visdial_1.0_train.json"),
    "vizwiz": (vizwiz, "Annotations/val.json", "Annotations/train.json"),
    "vizwiz, VQA's form": (
        made.vqa, "val_annotations_vqa_format.json", "train_annotations_vqa_format.json"
    ),
    "vqav2": (
        made.vqa, "v2_mscoco_val2014_annotations.json", "v2_mscoco_train2014_annotations.json"
    ),
}  # fmt: skip
"""Name -> its files, the official name of the references and that of the training split's."""


@pytest.mark.parametrize("key", BOTH_SPLITS)
def test_a_folder_that_holds_both_splits_is_that_of_val(key: str, tmp_path: Path) -> None:
    name = key.partition(",")[0]
    make, official, other = BOTH_SPLITS[key]
    predictions, references = make(tmp_path / "made")
    assert references is not None
    folder = tmp_path / "folder"
    write(folder / other, "{}")
    (folder / official).parent.mkdir(exist_ok=True)
    shutil.copy(references, folder / official)
    alone = score_files(name, predictions, references, per_item=True)
    assert score_files(name, predictions, folder, per_item=True) == alone
    assert alone["n"]


def test_vizwiz_is_keyed_by_photo_in_its_own_form(tmp_path: Path) -> None:
    scored = score_files("vizwiz", *vizwiz(tmp_path), per_item=True)
    assert scored["metrics"] == {
        "overall": 50.0,
        "perQuestionType": {"none of the above": 50.0},
        "perAnswerType": {"other": 100.0, "yes/no": 0.0},
    }
    assert scored["per_item"] == {"VizWiz_val_00000000.jpg": 100.0, "VizWiz_val_00000001.jpg": 0.0}


def test_vizwiz_in_both_forms_is_scored_in_that_of_the_predictions(tmp_path: Path) -> None:
    folder = tmp_path / "both"
    by_photo, _ = vizwiz(folder)
    by_photo = by_photo.rename(tmp_path / "by_photo.json")
    by_number, references = made.vqa(folder)
    references.rename(folder / "val_annotations_vqa_format.json")
    assert score_files("vizwiz", by_photo, folder)["metrics"]["overall"] == 50.0
    assert score_files("vizwiz", by_number, folder)["metrics"]["overall"] == 100.0


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"image": "VizWiz_val_00000000.jpg", "answer": "x"}], "1 of 2 have no prediction"),
        ([{"image": "VizWiz_val_00000000.jpg", "answer": "x"}] * 2, "stands twice"),
        ([{"question_id": 0, "answer": "x"}], r"val\.json, entry 1: no question_id"),
        ([{"answer": "x"}], r"entry 1: no question_id"),
    ],
)
def test_vizwiz_answers_each_photo_once(rows: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message):
        score_files("vizwiz", *vizwiz(tmp_path, rows))


def test_textvqas_own_file_is_that_of_vqas_form(tmp_path: Path) -> None:
    scored = score_files("textvqa", *textvqa(tmp_path), per_item=True)
    assert scored["metrics"] == {
        "overall": 50.0,
        "perQuestionType": {"none of the above": 50.0},
        "perAnswerType": {"other": 50.0},
    }
    assert scored["per_item"] == {"7": 100.0, "8": 0.0}


@pytest.mark.parametrize("answers", [[], [1], ["red", None], [{"answer": 1}], [["red"]]])
def test_answers_of_the_references_are_texts(answers: Any, tmp_path: Path) -> None:
    predictions, references = textvqa(tmp_path)
    write(references, {"data": [{"question_id": 7, "answers": answers}]})
    with pytest.raises(DataError, match=r"val\.json, entry 1: answers are not a list of texts"):
        score_files("textvqa", predictions, references)


def test_gqas_choices_are_found_beside_the_questions(tmp_path: Path) -> None:
    predictions, folder = made.gqa(tmp_path)
    write(folder / "testdev_choices.json", {})  # another split's, first by name
    for references in (folder, folder / "val_all_questions.json"):
        metrics = score_files("gqa", predictions, references)["metrics"]
        assert (metrics["validity"], metrics["plausibility"]) == (100.0, 0.0)
        assert set(metrics["not_computed"]) == {"grounding"}


def test_gqas_choices_of_another_split_are_left_alone(tmp_path: Path) -> None:
    predictions, folder = made.gqa(tmp_path)
    (folder / "val_choices.json").rename(folder / "testdev_choices.json")
    missing = score_files("gqa", predictions, folder)["metrics"]["not_computed"]
    assert missing["validity, plausibility"] == "need val_choices.json beside the questions"
