"""Mantis and Open-Ended miniImageNet: what their readers make of records, good and broken."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image


def change(path: Path, number: int, **values: Any) -> None:
    """Change fields of one record of a JSON array; None removes one."""
    records = json.loads(path.read_text())
    changed = records[number] | values
    records[number] = {key: value for key, value in changed.items() if value is not None}
    path.write_text(json.dumps(records))


def say(*turns: str) -> list[dict[str, str]]:
    """A conversation, the human first."""
    return [
        {"from": "gpt" if place % 2 else "human", "value": text} for place, text in enumerate(turns)
    ]


def test_mantis_numbers_become_references(world, ingest) -> None:
    folder = world("mantis")
    result = ingest("mantis", folder)
    official = {record["id"]: record for record in json.loads((folder / "test.json").read_text())}
    assert len(result.of("test")) == len(official)
    for row in result.of("test"):
        meta = json.loads(row.meta)
        record = official[meta["id"]]
        assert meta["category"] == record["category"]
        assert row.group == record["id"].rpartition("-")[0]
        assert len(row.images) == len(record["images"])
        assert "image 1" not in row.question + row.target
        for place in range(len(row.images)):
            named = f"image {place + 1}" in record["question"] + record["answer"]
            assert (f"<image:{place}>" in row.question + row.target) == named
    for row in result.of("train"):
        assert row.group == json.loads(row.meta)["id"].rpartition("-")[0]


def test_mantis_reads_either_names_of_turns_and_joins_them(world, ingest) -> None:
    folder = world("mantis")
    path = folder / "train.json"
    images = json.loads(path.read_text())[0]["images"][:2]
    turns = [
        {"role": "user", "content": "<image> What is in image 1?"},
        {"role": "assistant", "content": "A  star."},
        {"role": "user", "content": "And <image>in Image 2?"},
        {"role": "assistant", "content": "Image 2 has it"},
    ]
    change(path, 0, images=images, conversations=None, conversation=turns)
    row = next(
        row for row in ingest("mantis", folder).examples if row.id == "mantis/train/train-0-0"
    )
    assert row.question == "What is in <image:0>? A star. And in <image:1>?"
    assert row.target == "<image:1> has it"
    assert row.answers == (row.target,)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"conversations": say("<image> What?", "x")}, "image_count"),
        ({"conversations": say("<image><image><image> What?", "x")}, "image_count"),
        ({"conversations": say("<image><image> In image 3?", "x")}, "unknown_picture"),
        ({"conversations": say("<image><image> In image 0?", "x")}, "unknown_picture"),
        ({"conversations": say("<image><image> Which?", "image 3")}, "unknown_picture"),
        ({"conversations": say("<image><image> In images 1 and 2?", "x")}, "unsupported_reference"),
        ({"conversations": say("<image><image>", "x")}, "empty_text"),
        ({"conversations": say("<image><image> What?", " ")}, "empty_text"),
        ({"conversations": say("<image><image> <image0> What?", "x")}, "reserved_token"),
        ({"conversations": say("<image><image> What?", "图")}, "reserved_token"),
        ({"conversations": say("<image><image> What?", "x", "And?")}, "malformed"),
        ({"conversations": say("<image><image> What?")}, "malformed"),
        ({"conversations": say("<image><image> What?", "x")[::-1]}, "malformed"),
        ({"conversations": None}, "malformed"),
        ({"conversations": [{"from": "cat", "value": "miaow"}] * 2}, "malformed"),
        ({"images": []}, "malformed"),
        ({"images": ["images/gone.jpg"] * 2}, "missing_image"),
        ({"images": ["../train.json"] * 2}, "path_outside"),
    ],
)
def test_broken_conversations_have_their_reason(
    world, ingest, values: dict[str, Any], reason: str
) -> None:
    folder = world("mantis")
    path = folder / "train.json"
    images = json.loads(path.read_text())[0]["images"][:2]
    sound = {"images": images, "conversations": say("<image><image> What?", "x")}
    change(path, 0, **(sound | values))
    (rejected,) = ingest("mantis", folder, limit=0.1).rejected
    assert (rejected.reason, rejected.record) == (reason, "train-0-0")


def test_multiple_choice_questions_are_refused_and_counted(world, ingest) -> None:
    folder = world("mantis")
    options = {"question_type": "multi-choice", "options": ["(A) red", "(B) blue"], "answer": "A"}
    change(folder / "test.json", 0, **options)
    change(folder / "test.json", 1, answer=None)
    result = ingest("mantis", folder, limit=0.1)
    assert result.manifest["quarantined"] == {"unsupported_question_type": 1, "malformed": 1}


def test_an_episode_is_its_named_pictures_and_the_one_to_be_named(world, ingest) -> None:
    folder = world("open_ended_mi")
    result = ingest("open_ended_mi", folder)
    path = folder / "test" / "open_ended_mi_shots_2_ways_2_all_questions.json"
    record = json.loads(path.read_text())[1]
    name = "test-shots_2_ways_2-1"
    row = next(row for row in result.examples if row.id == f"open_ended_mi/test/{name}")
    assert row.choices == tuple(
        record[f"caption_{k}"].removeprefix("This is a ").removesuffix(".") for k in (1, 2, 3, 4)
    )
    assert (row.target, row.question, row.group) == (record["answer"], "What is this?", name)
    meta = json.loads(row.meta)
    assert (meta["shots"], meta["ways"]) == (2, 2)
    paths = [*(record[f"image_{k}"] for k in (1, 2, 3, 4)), record["question_image"]]
    stored = [result.store.load(reference).tobytes() for reference in row.images]
    assert stored == [Image.open(path.parent / one).convert("RGB").tobytes() for one in paths]


def test_the_original_folder_is_test(world, ingest) -> None:
    folder = world("open_ended_mi")
    result = ingest("open_ended_mi", folder / "test")
    assert {row.split for row in result.examples} == {"test"}
    assert len(result.examples) == 8


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"answer": "cat"}, "unknown_name"),
        ({"answer": "This is a dax."}, ""),
        ({"caption_1": "elk", "answer": "elk."}, ""),
        ({"caption_1": "This is an elk.", "answer": "elk"}, ""),
        ({"caption_1": " "}, "empty_text"),
        ({"caption_1": None}, "malformed"),
        ({"caption_2": "a 图"}, "reserved_token"),
        ({"caption_2": 4}, "malformed"),
        ({"image_2": None}, "malformed"),
        ({"image_2": "gone.jpg"}, "missing_image"),
        ({"question_image": "../train.jpg"}, "path_outside"),
        ({"question": None}, "malformed"),
        ({"question_id": None}, "malformed"),
        ({"question_id": 1}, "duplicate_id"),
    ],
)
def test_broken_episodes_have_their_reason(
    world: Callable[..., Path], ingest, values: dict[str, Any], reason: str
) -> None:
    folder = world("open_ended_mi")
    path = folder / "val" / "open_ended_mi_shots_1_ways_2_all_questions.json"
    change(path, 0, caption_1="This is a dax.", caption_2="This is a wug.", answer="wug")
    change(path, 0, **values)
    result = ingest("open_ended_mi", folder, limit=0.1)
    assert [row.reason for row in result.rejected] == ([reason] if reason else [])
