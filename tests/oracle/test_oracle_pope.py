"""POPE against what its evaluate.py printed."""

import json
from pathlib import Path

import pytest

from mmicl.benchmarks.official.reading import read_table
from mmicl.benchmarks.score import score_files
from mmicl.errors import DataError

pytestmark = pytest.mark.oracle
SETTINGS = ("random", "popular", "adversarial")


@pytest.mark.parametrize("setting", SETTINGS)
def test_pope_equals_the_official_script(shared_data: Path, setting: str) -> None:
    folder, name = shared_data / "pope", f"coco_pope_{setting}"
    expected = json.loads((folder / "expected_official_evaluate.json").read_text())[name]
    scored = score_files(
        "pope", folder / f"made_answers/{name}.jsonl", folder / f"coco/{name}.json"
    )
    assert scored["n"] == expected.pop("n")
    del expected["images"]
    assert scored["metrics"] == expected


def test_a_folder_of_answers_is_scored_by_setting(shared_data: Path) -> None:
    folder = shared_data / "pope"
    expected = json.loads((folder / "expected_official_evaluate.json").read_text())
    scored = score_files("pope", folder / "made_answers", folder / "coco")
    assert {name: one["accuracy"] for name, one in scored["metrics"].items()} == {
        name: one["accuracy"] for name, one in expected.items()
    }


def test_answers_to_another_setting_are_refused_or_said(shared_data: Path, tmp_path: Path) -> None:
    """Settings share pictures and numbers, so that only a question's text tells them apart."""
    folder = shared_data / "pope"
    answers = folder / "made_answers" / "coco_pope_random.jsonl"
    popular = folder / "coco" / "coco_pope_popular.json"
    with pytest.raises(DataError, match=r"stands at this place of coco_pope_popular\.json"):
        score_files("pope", answers, popular)
    bare = tmp_path / answers.name
    with bare.open("w") as file:
        for one, other in zip(
            read_table(answers), read_table(folder / "coco/coco_pope_random.json"), strict=True
        ):
            kept = {key: other.value[key] for key in ("question_id", "image")}
            file.write(json.dumps({"answer": one.value["answer"], **kept}) + "\n")
    (note,) = score_files("pope", bare, popular)["warnings"]
    assert note.startswith("3000 answers do not repeat their question")


def test_references_may_be_a_json_array(shared_data: Path, tmp_path: Path) -> None:
    """The question files of SEEM come as one array, COCO's as JSON Lines."""
    lines = read_table(shared_data / "pope" / "coco" / "coco_pope_random.json")
    array = tmp_path / "coco_pope_random.json"
    array.write_text(json.dumps([dict(record.value) for record in lines]))
    answers = shared_data / "pope" / "made_answers" / "coco_pope_random.jsonl"
    from_lines = score_files("pope", answers, shared_data / "pope" / "coco")
    assert score_files("pope", answers, array) == from_lines
