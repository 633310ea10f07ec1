"""The official files: layout, field names, labels, and equal bytes for equal seeds."""

import hashlib
import json
from collections import Counter
from itertools import groupby
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from mmicl import world
from mmicl.errors import UserError
from mmicl.world.attributes import GRADES, GREYS, NUMBERS, POLYGONS, SHAPES
from mmicl.world.episodes import EVENTS

N = 24


@pytest.fixture(scope="module")
def official(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("world")
    for name in world.WRITERS:
        world.generate(name, {"n": N, "seed": 7}, folder / name)
    return folder


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def read_lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def digest(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.mark.parametrize("name", list(world.WRITERS))
def test_equal_seeds_give_equal_bytes_and_others_do_not(
    name: str, official: Path, tmp_path: Path
) -> None:
    world.generate(name, {"seed": 7, "n": N}, tmp_path / "same")
    world.generate(name, {"n": N, "seed": 8}, tmp_path / "other")
    first = digest(official / name)
    assert first == digest(tmp_path / "same")
    other = digest(tmp_path / "other")
    pictures = [path for path in first if path.endswith((".jpg", ".png", ".npz", ".mp4"))]
    assert pictures
    changed = [path for path in pictures if first[path] != other.get(path)]
    assert len(changed) > 0.9 * len(pictures)


def test_more_items_leave_the_others_as_they_are(official: Path, tmp_path: Path) -> None:
    world.generate("vqav2", {"n": N + 5, "seed": 7}, tmp_path / "more")
    few, more = digest(official / "vqav2"), digest(tmp_path / "more")
    pictures = [path for path in few if path.startswith("train2014")]
    assert len(pictures) == N
    assert all(few[path] == more[path] for path in pictures)


def test_coco_captions(official: Path) -> None:
    folder = official / "coco"
    seen: set[int] = set()
    for split, count in (("train", N), ("val", 8), ("test", 8)):
        captions = read(folder / "annotations" / f"captions_{split}2017.json")
        assert captions.keys() == {"info", "licenses", "images", "annotations"}
        assert len(captions["images"]) == count
        assert Counter(item["image_id"] for item in captions["annotations"]) == {
            image["id"]: 5 for image in captions["images"]
        }
        ids = {image["id"] for image in captions["images"]}
        assert not ids & seen
        seen |= ids
        instances = read(folder / "annotations" / f"instances_{split}2017.json")
        assert [category["name"] for category in instances["categories"]] == list(SHAPES)
        for image in captions["images"]:
            with Image.open(folder / f"{split}2017" / image["file_name"]) as picture:
                assert picture.size == (image["width"], image["height"])
                assert picture.format == "JPEG"
        for item in instances["annotations"]:
            x, y, width, height = item["bbox"]
            assert 0 <= x < x + width <= 96
            assert 0 <= y < y + height <= 96
            assert 0 < item["area"] <= width * height
            assert len(item["segmentation"][0]) % 2 == 0


def test_vqa_has_ten_answers_and_the_official_fields(official: Path) -> None:
    folder = official / "vqav2"
    for split in ("train", "val", "test"):
        questions = read(folder / f"v2_OpenEnded_mscoco_{split}2014_questions.json")
        annotations = read(folder / f"v2_mscoco_{split}2014_annotations.json")
        assert questions["task_type"] == "Open-Ended"
        assert questions["data_subtype"] == annotations["data_subtype"] == f"{split}2014"
        for question, item in zip(questions["questions"], annotations["annotations"], strict=True):
            assert question.keys() == {"image_id", "question", "question_id"}
            assert item.keys() == {
                "question_type", "multiple_choice_answer", "answers", "image_id", "answer_type",
                "question_id",
            }  # fmt: skip
            assert question["question_id"] == item["question_id"]
            assert [answer["answer_id"] for answer in item["answers"]] == list(range(1, 11))
            given = Counter(answer["answer"] for answer in item["answers"])
            assert given[item["multiple_choice_answer"]] >= 8
            name = f"COCO_{split}2014_{question['image_id']:012d}.jpg"
            assert (folder / f"{split}2014" / name).is_file()


VCR_FIELDS = {
    "movie", "objects", "interesting_scores", "answer_likelihood", "img_fn", "metadata_fn",
    "answer_orig", "question_orig", "rationale_orig", "question", "answer_match_iter",
    "answer_sources", "answer_choices", "answer_label", "rationale_choices", "rationale_sources",
    "rationale_match_iter", "rationale_label", "img_id", "question_number", "annot_id",
    "match_fold", "match_index",
}  # fmt: skip


def test_vcr_has_the_official_fields_boxes_and_object_numbers(official: Path) -> None:
    folder = official / "vcr"
    for split, count in (("train", N), ("val", 8), ("test", 8)):
        records = read_lines(folder / f"{split}.jsonl")
        assert len(records) == count
        assert len({record["annot_id"] for record in records}) == count
        for record in records:
            assert record.keys() == VCR_FIELDS
            metadata = read(folder / "vcr1images" / record["metadata_fn"])
            assert metadata.keys() == {"boxes", "segms", "names", "width", "height"}
            assert metadata["names"] == record["objects"]
            assert all(len(box) == 5 for box in metadata["boxes"])
            with Image.open(folder / "vcr1images" / record["img_fn"]) as picture:
                assert picture.size == (metadata["width"], metadata["height"])
            assert len(record["answer_choices"]) == len(record["rationale_choices"]) == 4
            numbers = [
                number
                for tokens in (record["question"], *record["answer_choices"])
                for token in tokens
                if isinstance(token, list)
                for number in token
            ]
            assert all(0 <= number < len(record["objects"]) for number in numbers)


def test_nlvr2_records_pictures_and_balance(official: Path) -> None:
    folder = official / "nlvr2"
    for name, images in (("train", "images/train"), ("dev", "dev"), ("test1", "test1")):
        records = read_lines(folder / f"{name}.json")
        assert Counter(record["label"] for record in records) == {
            "True": len(records) // 2, "False": len(records) // 2,
        }  # fmt: skip
        for record in records:
            parts = record["identifier"].split("-")
            assert parts[0] == name
            assert len(parts) == 4
            place = folder / images
            if name == "train":
                place /= str(record["directory"])
            for side in (0, 1):
                assert (place / f"{'-'.join(parts[:3])}-img{side}.png").is_file()
        ordered = sorted(records, key=lambda record: record["sentence"])
        for _, same in groupby(ordered, key=lambda record: record["sentence"]):
            labels = [record["label"] for record in same]
            assert labels.count("True") == labels.count("False"), (
                "the sentence gives the label away"
            )


def test_pope_asks_by_the_three_rules(tmp_path: Path) -> None:
    world.generate("pope", {"n": 80, "seed": 3}, tmp_path / "pope")
    absent: dict[str, list[str]] = {}
    present: dict[str, set[str]] = {}
    for setting in ("random", "popular", "adversarial"):
        records = read_lines(tmp_path / "pope" / f"coco_pope_{setting}.json")
        assert [record["question_id"] for record in records] == list(range(1, 481))
        for record in records:
            assert record.keys() == {"question_id", "image", "text", "label"}
            assert (tmp_path / "pope" / "val2014" / record["image"]).is_file()
        for image, group in groupby(records, key=lambda record: record["image"]):
            items = list(group)
            assert [item["label"] for item in items] == ["yes", "no"] * 3
            assert len({item["text"] for item in items}) == 6
            shapes = {item["text"].split()[3] for item in items if item["label"] == "yes"}
            present.setdefault(image, set()).update(shapes)
        absent[setting] = [
            record["text"].split()[3] for record in records if record["label"] == "no"
        ]
    frequency = Counter(shape for shapes in present.values() for shape in shapes)

    def average(setting: str) -> float:
        return sum(frequency[shape] for shape in absent[setting]) / len(absent[setting])

    assert average("popular") > average("random") + 2
    assert absent["adversarial"] != absent["popular"]


def test_winoground_as_on_the_hub(official: Path) -> None:
    folder = official / "winoground" / "data"
    records = read_lines(folder / "examples.jsonl")
    assert [record["id"] for record in records] == list(range(N))
    for record in records:
        assert record.keys() == {
            "id", "image_0", "image_1", "caption_0", "caption_1", "tag", "secondary_tag",
            "num_main_preds", "collapsed_tag",
        }  # fmt: skip
        assert record["collapsed_tag"] in ("Object", "Relation", "Both")
        for side in (0, 1):
            with Image.open(folder / "images" / f"{record[f'image_{side}']}.png") as picture:
                assert picture.format == "PNG"


def test_raven_arrays_hold_no_pickle(official: Path) -> None:
    paths = sorted((official / "raven").rglob("*.npz"))
    assert Counter(path.stem.split("_")[-1] for path in paths) == {"train": N, "val": 8, "test": 8}
    for path in paths:
        with np.load(path, allow_pickle=False) as arrays:
            assert arrays["image"].shape == (16, 160, 160)
            assert arrays["image"].dtype == np.uint8
            assert 0 <= int(arrays["target"]) < 8
            assert "predict" in arrays
        rules = path.with_suffix(".xml").read_text(encoding="utf-8")
        assert rules.count("<Panel>") == 16
        assert '<Rule name="' in rules


def test_msrvtt_qa_as_released(official: Path) -> None:
    folder, number = official / "msrvtt_qa", 0
    for split, count in (("train", N), ("val", 8), ("test", 8)):
        records = read(folder / f"{split}_qa.json")
        assert len(records) == count
        for record in records:
            assert record.keys() == {"answer", "category_id", "id", "question", "video_id"}
            assert record["id"] == record["video_id"] == number
            assert record["answer"] in EVENTS
            number += 1
    for path in (folder / "videos").iterdir():
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            assert (stream.name, stream.frames, container.duration) == ("h264", 4, 4_000_000)
            assert (stream.width, stream.height) == (96, 96)
    assert len(list((folder / "videos").iterdir())) == number


def test_test_splits_are_large_enough(tmp_path: Path) -> None:
    world.generate("winoground", {"n": 900, "seed": 1}, tmp_path / "pairs")
    assert len(read_lines(tmp_path / "pairs" / "data" / "examples.jsonl")) == 900
    from mmicl.world.plan import Plan

    assert Plan("coco", 1, 900).count("test") >= 200
    assert Plan("coco", 1, 900, test=7).count("test") == 7


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("coc", {"n": 3, "seed": 1}, "no such world"),
        ("coco", {"n": 3}, "give n and seed"),
        ("coco", {"n": 3, "seed": 1, "size": 4}, "give n and seed"),
        ("coco", {"n": 0, "seed": 1}, "n >= 1"),
        ("coco", {"n": 3, "seed": -1}, "seed >= 0"),
        ("coco", {"n": 3, "seed": 1, "test": 0}, "test >= 1"),
    ],
)
def test_a_bad_world_is_refused(
    name: str, options: dict[str, int], message: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=message):
        world.generate(name, options, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_files_that_are_there_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(UserError, match="not empty"):
        world.generate("coco", {"n": 3, "seed": 1}, tmp_path)
    assert (tmp_path / "mine.txt").read_text() == "mine"


def test_some_training_pictures_are_panels_told_in_their_words(tmp_path: Path) -> None:
    world.generate("coco", {"n": 60, "seed": 3, "test": 20}, tmp_path / "coco")
    panels = {}
    for split in ("train", "val", "test"):
        captions = read(tmp_path / "coco" / "annotations" / f"captions_{split}2017.json")
        told: dict[int, list[str]] = {}
        for item in captions["annotations"]:
            told.setdefault(item["image_id"], []).append(item["caption"].lower())
        panels[split] = {
            image: texts
            for image, texts in told.items()
            if any(noun in text for text in texts for noun in (" panel ", "white ground"))
        }
    assert 2 <= len(panels["train"]) <= 20
    assert not panels["val"] and not panels["test"]
    instances = read(tmp_path / "coco" / "annotations" / "instances_train2017.json")
    assert not {item["image_id"] for item in instances["annotations"]} & set(panels["train"])
    for texts in panels["train"].values():
        assert len(set(texts)) == 5
        for words in (NUMBERS, GRADES, GREYS, POLYGONS):
            found = [{word for word in words if f" {word}" in f" {text}"} for text in texts]
            assert set.intersection(*found), "each caption says all four"


def test_no_image_id_of_coco_means_two_pictures(official: Path) -> None:
    names = [
        path.stem.split("_")[-1]
        for name in ("coco", "vqav2", "pope", "mme")
        for path in (official / name).rglob("*.jpg")
    ]
    assert len(names) == len(set(names)) == 2 * (N + 16) + 2 * N
