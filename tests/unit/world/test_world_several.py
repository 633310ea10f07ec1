"""Several pictures in their official files: Mantis and Open-Ended miniImageNet."""

import json
import random
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from mmicl import world
from mmicl.world.plan import Plan
from mmicl.world.several import (
    KINDS,
    sample_label_episode,
    sample_proxy_set,
    sample_which_set,
)
from mmicl.world.writers.mantis import draw_set

N, TEST = 40, 20
NUMBER = re.compile(r"image (\d+)")


@pytest.fixture(scope="module")
def official(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("several")
    for name in ("mantis", "open_ended_mi"):
        world.generate(name, {"n": N, "seed": 7, "test": TEST}, folder / name)
    return folder


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def test_the_pictures_that_are_asked_about_answer_differently() -> None:
    for seed in range(60):
        drawn = sample_proxy_set(random.Random(seed), "train")
        (one, first), (other, second) = (drawn.ask(place) for place in drawn.places)
        assert first != second
        assert one.replace(f"<image:{drawn.places[0]}>", "") == other.replace(
            f"<image:{drawn.places[1]}>", ""
        )
        silent = [k for k, scene in enumerate(drawn.scenes) if drawn.probe.answer(scene) is None]
        for place in silent:
            with pytest.raises(ValueError, match="has no answer"):
                drawn.ask(place)


def test_one_picture_alone_shows_what_is_asked_for() -> None:
    for seed in range(60):
        drawn = sample_which_set(random.Random(seed), "test")
        words = drawn.text.rstrip("?").split()
        shape = words[-1] if words[-1] != "shape" else None
        color = words[-2] if words[-2] not in ("a", "an") else None
        shown = [bool(scene.select(shape=shape, color=color)) for scene in drawn.scenes]
        assert shown.count(True) == 1
        assert shown[drawn.place]


def test_conversations_have_the_official_form(official: Path) -> None:
    folder = official / "mantis"
    for split, count in (("train", N), ("val", 8)):
        records = read(folder / f"{split}.json")
        assert len({record["id"] for record in records}) == len(records) == count
        sets = {tuple(record["images"]) for record in records}
        assert len(sets) <= count // 2
        which = 0
        for record in records:
            assert record.keys() == {"id", "images", "conversations"}
            human, answer = record["conversations"]
            assert (human["from"], answer["from"]) == ("human", "gpt")
            count = len(record["images"])
            assert human["value"].startswith("<image>" * count + " ")
            assert human["value"].count("<image>") == count
            numbers = NUMBER.findall(human["value"] + answer["value"])
            assert len(numbers) == 1
            assert 1 <= int(numbers[0]) <= count
            which += answer["value"].startswith("image ")
            for name in record["images"]:
                with Image.open(folder / name) as picture:
                    assert picture.format == "JPEG"
        assert 0 < which <= len(sets) // 2 + 1


def test_a_test_set_asks_two_pictures_together_and_alone(official: Path) -> None:
    records = read(official / "mantis" / "test.json")
    sets: dict[str, list[dict[str, Any]]] = {}
    for record in records:
        assert record.keys() == {
            "id", "question_type", "question", "images", "options", "answer", "data_source",
            "category",
        }  # fmt: skip
        assert (record["question_type"], record["options"]) == ("short-answer", [])
        assert record["question"].count("<image>") == len(record["images"])
        sets.setdefault(record["id"].rpartition("-")[0], []).append(record)
    assert list(sets) == [f"test-{number}" for number in range(TEST)]
    for own in sets.values():
        if len(own) == 5:
            which = own.pop()
            assert which["category"] == "which"
            assert which["images"] == own[0]["images"]
            assert NUMBER.fullmatch(which["answer"])
        assert [record["category"] for record in own] == ["proxy", "proxy", "single", "single"]
        one, other = own[:2]
        assert one["answer"] != other["answer"]
        assert one["images"] == other["images"]
        assert NUMBER.sub("", one["question"]) == NUMBER.sub("", other["question"])
        for proxy, single in zip(own[:2], own[2:], strict=True):
            (number,) = NUMBER.findall(proxy["question"])
            assert single["images"] == [proxy["images"][int(number) - 1]]
            assert single["answer"] == proxy["answer"]
            text = NUMBER.sub("image 1", proxy["question"]).replace("<image>", "")
            assert single["question"] == f"<image>{text}"


def test_nearly_every_set_has_a_picture_that_alone_shows_something() -> None:
    plan = Plan("mantis", 10, 900, test=200)
    drawn = [draw_set(plan, "test", number) for number in range(plan.count("test"))]
    assert sum(which is not None for _, which in drawn) > 190


def test_all_kinds_of_questions_are_asked_about_one_of_several() -> None:
    drawn = [sample_proxy_set(random.Random(seed), "train").probe.kind for seed in range(300)]
    assert min(drawn.count(kind) for kind in KINDS) > 30


def test_episodes_as_released(official: Path) -> None:
    for split, count in (("train", N), ("val", 8), ("test", TEST)):
        folder = official / "open_ended_mi" / split
        pictures = 0
        for shots in (1, 2):
            stem = f"open_ended_mi_shots_{shots}_ways_2"
            records = read(folder / f"{stem}_all_questions.json")
            assert [record["question_id"] for record in records] == list(range(count // 2))
            for record in records:
                places = range(1, 2 * shots + 1)
                assert record.keys() == {
                    "question_id", "question_image", "question", "answer",
                    *(f"image_{place}" for place in places),
                    *(f"caption_{place}" for place in places),
                }  # fmt: skip
                number = record["question_id"]
                assert record["image_1"] == f"{stem}_id_{number}_image_1.jpg"
                assert record["question_image"] == f"{stem}_id_{number}_question.jpg"
                captions = Counter(record[f"caption_{place}"] for place in places)
                assert set(captions.values()) == {shots}
                assert f"This is a {record['answer']}." in captions
                pictures += 2 * shots + 1
        assert len(list(folder.glob("*.jpg"))) == pictures


@pytest.mark.parametrize("shots", [1, 2])
def test_an_episodes_query_shares_with_its_own_class_alone(shots: int) -> None:
    for seed in range(40):
        episode = sample_label_episode(random.Random(seed), "test", shots)
        (thing,) = episode.query.things
        others = [scene.things[0] for scene, name in episode.support if name != episode.answer]
        assert len(others) == shots
        assert all(thing.shape != one.shape and thing.color != one.color for one in others)
