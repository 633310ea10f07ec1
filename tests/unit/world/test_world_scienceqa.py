"""ScienceQA's official form, held-out combinations, and hints that lead nowhere on average."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from mmicl import world
from mmicl.world.attributes import SPLITS, Combination, list_combinations

N = 240
FIELDS = {
    "question", "choices", "answer", "hint", "image", "task", "grade", "subject", "topic",
    "category", "skill", "lecture", "solution", "split",
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("scienceqa")
    world.generate("scienceqa", {"n": N, "seed": 9}, path)
    return path


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def test_problems_splits_and_pictures_agree(folder: Path) -> None:
    problems, pids = read(folder / "problems.json"), read(folder / "pid_splits.json")
    assert {split: len(pids[split]) for split in pids} == {
        "train": N, "val": N // 8, "test": N // 4, "trainval": N + N // 8,
    }  # fmt: skip
    assert pids["trainval"] == pids["train"] + pids["val"]
    assert sorted(pid for split in SPLITS for pid in pids[split]) == sorted(problems)
    for split in SPLITS:
        for pid in pids[split]:
            problem = problems[pid]
            assert problem.keys() == FIELDS
            assert problem["split"] == split
            assert 0 <= problem["answer"] < len(set(problem["choices"])) == 3
            with Image.open(folder / "images" / split / pid / problem["image"]) as picture:
                assert picture.format == "PNG"
    assert len(list(folder.rglob("image.png"))) == len(problems)


def test_what_is_asked_about_is_held_out(folder: Path) -> None:
    for problem in read(folder / "problems.json").values():
        asked, right = problem["question"].split(), problem["choices"][problem["answer"]]
        if problem["question"].startswith("What color is the "):
            thing = Combination(asked[-1].rstrip("?"), right)
        else:
            thing = Combination(right, asked[-1].rstrip("?"))
        assert thing in list_combinations(problem["split"])


def test_hints_are_absent_true_and_misleading_in_equal_parts(folder: Path) -> None:
    def kind(problem: dict[str, Any]) -> str:
        words = problem["hint"].rstrip(".").split()
        if not words:
            return "none"
        assert words[-1] in problem["choices"]
        return "true" if words[-1] == problem["choices"][problem["answer"]] else "misleading"

    kinds = Counter(kind(problem) for problem in read(folder / "problems.json").values())
    assert min(kinds.values()) > sum(kinds.values()) / 4
    assert len(kinds) == 3
