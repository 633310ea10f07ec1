"""ScienceQA: hint and question in one, problems without pictures, and broken records."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from mmicl.errors import DataError
from mmicl.sources.scienceqa import misleads


def read(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "problems.json").read_text())


def write(folder: Path, problems: Any) -> None:
    (folder / "problems.json").write_text(json.dumps(problems))


def test_problems_as_the_file_has_them(world, ingest) -> None:
    folder = world("scienceqa")
    problems = read(folder)
    result = ingest("scienceqa", folder)
    assert len(result.examples) == len(problems)
    for row in result.examples:
        meta = json.loads(row.meta)
        problem = problems[meta["pid"]]
        assert row.id == f"scienceqa/{problem['split']}/{meta['pid']}"
        assert row.question == f"{problem['hint']} {problem['question']}".strip()
        assert row.choices == tuple(problem["choices"])
        assert row.answer_index == problem["answer"]
        assert row.target == problem["choices"][problem["answer"]]
        assert meta["hint"] == bool(problem["hint"])
        told = problem["hint"].rstrip(".").split()[-1:]
        assert meta["misleads"] == (bool(told) and told != [row.target])
        assert {key: meta[key] for key in ("subject", "grade", "topic")} == {
            "subject": "natural science", "grade": "grade2", "topic": "physics",
        }  # fmt: skip
        path = folder / "images" / row.split / meta["pid"] / "image.png"
        assert result.store.encoded(row.images[0]) == path.read_bytes()


@pytest.mark.parametrize(
    ("hint", "wanted"),
    [
        ("", False),
        ("A ring is often Red.", True),
        ("A ring is often blue.", False),
        ("A ring is red or blue.", False),
        ("A ring is often covered.", False),
        ("A ring is often (a) 5 cm wide.", True),
    ],
)
def test_a_hint_misleads_that_names_a_wrong_choice_alone(hint: str, wanted: bool) -> None:
    assert misleads(hint, ["red", "blue", "(a) 5 cm"], 1) == wanted


def test_problems_without_a_picture_are_counted(world, ingest) -> None:
    folder = world("scienceqa")
    problems = read(folder)
    problems["1"]["image"] = None
    problems["2"]["image"] = ""
    write(folder, problems)
    result = ingest("scienceqa", folder)
    assert result.manifest["unused"] == {"problems without a picture": 2}
    assert len(result.examples) == len(problems) - 2


def test_whose_picture_is_needed_goes_on_where_the_ids_are_there(world, ingest) -> None:
    folder = world("scienceqa")
    bare = ingest("scienceqa", folder).examples
    assert not any("needs_image" in json.loads(row.meta) for row in bare)
    bias = folder / "language_bias.json"
    bias.write_text(json.dumps({"needs_image": ["2", 3], "needs_no_image": ["1"]}))
    metas = [json.loads(row.meta) for row in ingest("scienceqa", folder).examples]
    known = {meta["pid"]: meta["needs_image"] for meta in metas if "needs_image" in meta}
    assert known == {"1": False, "2": True, "3": True}


@pytest.mark.parametrize(
    ("split", "fault"),
    [
        ({"needs_image": ["1"]}, "has no list needs_no_image"),
        ({"needs_image": ["1"], "needs_no_image": ["1"]}, "problem 1 is named twice"),
        ({"needs_image": ["no"], "needs_no_image": []}, r"problem no is not in problems\.json"),
    ],
)
def test_ids_of_language_bias_that_do_not_fit_are_refused(
    world, ingest, split: dict[str, Any], fault: str
) -> None:
    folder = world("scienceqa")
    (folder / "language_bias.json").write_text(json.dumps(split))
    with pytest.raises(DataError, match=rf"language_bias\.json: {fault}"):
        ingest("scienceqa", folder)


def test_all_problems_are_those_with_a_picture_and_the_others(world, ingest) -> None:
    folder = world("scienceqa")
    problems = read(folder)
    pictured = ingest("scienceqa", folder, name="s", out="pictured").examples
    assert ingest("scienceqa_all", folder, name="s", out="all").examples == pictured
    problems["1"]["image"] = None
    problems["2"]["image"] = ""
    write(folder, problems)
    bias = {"needs_image": ["4"], "needs_no_image": ["3", "1"]}
    (folder / "language_bias.json").write_text(json.dumps(bias))
    result = ingest("scienceqa_all", folder)
    assert result.manifest["unused"] == {}
    assert len(result.examples) == len(problems)
    rows = {json.loads(row.meta)["pid"]: row for row in result.examples}
    assert {pid for pid, row in rows.items() if not row.images} == {"1", "2"}
    assert rows["1"].group != rows["2"].group
    assert rows["1"].question.endswith(problems["1"]["question"])
    needs = {pid: json.loads(row.meta).get("needs_image") for pid, row in rows.items()}
    assert {pid: need for pid, need in needs.items() if need is not None} == {
        "1": False, "3": False, "4": True,
    }  # fmt: skip


def test_all_real_problems_without_a_picture_parse(shared_data: Path, ingest) -> None:
    result = ingest("scienceqa_all", shared_data / "scienceqa", limit=0.6)
    assert len(result.examples) == 700
    assert all(row.images == () for row in result.examples)
    assert result.manifest["quarantined"] == {"missing_image": 705}
    assert len({row.group for row in result.examples}) == 700


def test_problems_about_one_picture_are_one_group(world, ingest) -> None:
    folder = world("scienceqa")
    shutil.copy(folder / "images/train/1/image.png", folder / "images/train/2/image.png")
    groups = {row.id: row.group for row in ingest("scienceqa", folder).examples}
    assert groups["scienceqa/train/1"] == groups["scienceqa/train/2"]
    assert len(set(groups.values())) == len(groups) - 1


def test_the_official_repository_holds_it_in_a_folder(world, ingest, tmp_path: Path) -> None:
    (tmp_path / "repository" / "data").mkdir(parents=True)
    shutil.copytree(world("scienceqa"), tmp_path / "repository" / "data" / "scienceqa")
    assert ingest("scienceqa", tmp_path / "repository").manifest["quarantined"] == {}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"answer": 3}, "malformed"),
        ({"answer": -1}, "malformed"),
        ({"answer": "1"}, "malformed"),
        ({"answer": None}, "malformed"),
        ({"choices": []}, "malformed"),
        ({"choices": ["red"], "answer": 0}, "malformed"),
        ({"choices": None}, "malformed"),
        ({"choices": ["red", " "], "answer": 0}, "empty_text"),
        ({"choices": ["red", "图"], "answer": 0}, "reserved_token"),
        ({"question": ""}, "empty_text"),
        ({"hint": "see <image0>"}, "reserved_token"),
        ({"hint": None}, "malformed"),
        ({"image": "other.png"}, "missing_image"),
        ({"image": "../../../../secret.png"}, "path_outside"),
        ({"image": 7}, "malformed"),
        ({"split": "minitest"}, "malformed"),
        ({"question": "half \ud800 of a sign"}, "malformed"),
    ],
)
def test_each_fault_has_its_reason(world, ingest, change: dict[str, Any], reason: str) -> None:
    folder = world("scienceqa")
    problems = read(folder)
    problems["3"] |= change
    write(folder, problems)
    result = ingest("scienceqa", folder, limit=0.1)
    (row,) = result.rejected
    assert (row.reason, row.record, row.file) == (reason, "3", "problems.json")
    assert len(result.examples) == len(problems) - 1


@pytest.mark.parametrize("field", ["choices", "answer", "image", "question", "split"])
def test_a_missing_field_rejects_the_problem(world, ingest, field: str) -> None:
    folder = world("scienceqa")
    problems = read(folder)
    del problems["3"][field]
    problems["4"] = ["no object"]
    write(folder, problems)
    result = ingest("scienceqa", folder, limit=0.1)
    assert [(row.record, row.reason) for row in result.rejected] == [
        ("3", "malformed"), ("4", "malformed"),
    ]  # fmt: skip


def test_a_file_that_holds_no_problems_is_refused(world, ingest) -> None:
    folder = world("scienceqa")
    write(folder, [])
    with pytest.raises(DataError, match=r"scienceqa: problems\.json: is no object of problems"):
        ingest("scienceqa", folder, limit=1.0)


def test_real_problems_parse(shared_data: Path, ingest, tmp_path: Path, world) -> None:
    """The real records have no pictures beside them: each gets one of the world's."""
    folder = tmp_path / "real"
    folder.mkdir()
    problems = json.loads((shared_data / "scienceqa" / "problems.json").read_text())
    shutil.copy(shared_data / "scienceqa" / "problems.json", folder)
    pictures = sorted(world("scienceqa").rglob("image.png"))
    shown = [(pid, one) for pid, one in problems.items() if one["image"]]
    for number, (pid, problem) in enumerate(shown):
        path = folder / "images" / problem["split"] / pid / problem["image"]
        path.parent.mkdir(parents=True)
        shutil.copy(pictures[number % len(pictures)], path)
    result = ingest("scienceqa", folder)
    assert len(result.examples) == len(shown) == 705
    assert result.manifest["unused"] == {"problems without a picture": 700}
    metas = [json.loads(row.meta) for row in result.examples]
    assert sum(not meta["hint"] for meta in metas) == 253
    for row, meta in zip(result.examples, metas, strict=True):
        problem = problems[meta["pid"]]
        choices = tuple(" ".join(choice.split()) for choice in problem["choices"])
        asked = " ".join(f"{problem['hint']} {problem['question']}".split())
        assert (row.question, row.choices) == (asked, choices)
        assert (row.answer_index, row.target) == (problem["answer"], choices[problem["answer"]])
        assert row.split == problem["split"]


def test_without_pictures_the_real_problems_are_refused(shared_data: Path, ingest) -> None:
    with pytest.raises(DataError, match=r"705 of 705 records .*missing_image"):
        ingest("scienceqa", shared_data / "scienceqa", limit=0.5)
