"""MME's official form, and answers that are true of the pictures."""

import random
import re
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from mmicl import world
from mmicl.world.attributes import COLORS, NUMBERS, SHAPES, list_combinations
from mmicl.world.plan import Plan
from mmicl.world.scenes import Scene
from mmicl.world.statements import SUBTASKS, sample_yes_no_pair

N = 42


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("mme")
    world.generate("mme", {"n": N, "seed": 8}, path)
    return path


def test_one_folder_a_subtask_with_pictures_and_their_texts(folder: Path) -> None:
    assert {path.name for path in folder.iterdir()} == set(SUBTASKS)
    texts = sorted(folder.rglob("*.txt"))
    assert Counter(path.parent.name for path in texts) == {
        "existence": 11, "count": 11, "position": 10, "color": 10,
    }  # fmt: skip
    assert len({path.stem for path in texts}) == N == len(list(folder.rglob("*.jpg")))
    for path in texts:
        assert re.fullmatch(r"\d{12}", path.stem)
        assert path.read_text().endswith("\n")
        lines = [line.split("\t") for line in path.read_text().splitlines()]
        assert [label for _, label in lines] == ["Yes", "No"]
        assert lines[0][0] != lines[1][0]
        assert all(asked.endswith("? Please answer yes or no.") for asked, _ in lines)
        with Image.open(path.with_suffix(".jpg")) as picture:
            assert picture.format == "JPEG"


def holds(question: str, scene: Scene) -> bool:
    """What a reader of the question sees in the scene, told from the words alone."""
    words = re.findall(r"[a-z]+", question.lower().split("?")[0])
    named = [next((s for s in SHAPES if w in (s, f"{s}s", f"{s}es")), None) for w in words]
    shape = next(filter(None, named), None)
    color = next((word for word in words if word in COLORS), None)
    number = next((NUMBERS.index(word) for word in words if word in NUMBERS), None)
    seen = len(scene.select(shape=shape, color=color))
    return seen > 0 if number is None else seen == number


def test_the_label_is_what_the_scene_shows() -> None:
    plan = Plan("mme", 8, N)
    own = set(list_combinations("test"))
    for index in range(400):
        subtask = SUBTASKS[index % 4]
        pair = sample_yes_no_pair(random.Random(plan.stream("test", index)), "test", subtask)
        assert {thing.combination for thing in pair.scene.things} <= own
        if subtask != "position":
            assert holds(pair.yes, pair.scene), pair
            assert not holds(pair.no, pair.scene), pair
