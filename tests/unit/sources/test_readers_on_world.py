"""Every reader against the world's files, which have the official layout."""

import json
import random
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mmicl.mic.queries import expand
from mmicl.mic.scheme import find_fault
from mmicl.records import split_reference
from mmicl.world.episodes import sample_sequence
from mmicl.world.plan import Plan
from mmicl.world.rendering import render_scene

NAMES = {
    "coco_caption": "coco", "vqav2": "vqav2", "vcr": "vcr", "nlvr2": "nlvr2",
    "pope": "pope", "winoground": "winoground", "raven": "raven",
    "mme": "mme", "scienceqa": "scienceqa",
    "msrvtt_qa": "msrvtt_qa",
    "mantis": "mantis", "open_ended_mi": "open_ended_mi",
}  # fmt: skip


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.parametrize("reader", sorted(NAMES))
def test_every_record_becomes_a_sound_example(reader: str, world, ingest) -> None:
    result = ingest(reader, world(NAMES[reader]))
    assert result.manifest["quarantined_total"] == 0
    assert len({row.id for row in result.examples}) == len(result.examples) > 0
    for row in result.examples:
        assert row.dataset == reader
        assert row.id.startswith(f"{reader}/{row.split}/")
        assert row.task == result.manifest["task"]
        assert json.loads(row.meta) is not None
        assert all(reference in result.store for reference in row.images)
        for query in expand(row):
            assert find_fault(query) == ""
    assert result.manifest["splits"] == {
        split: len(result.of(split)) for split in ("train", "val", "test")
    }
    assert result.manifest["images"] == len(result.store)


@pytest.mark.parametrize("reader", sorted(NAMES))
def test_equal_files_give_equal_outs(reader: str, world, ingest) -> None:
    folder = world(NAMES[reader], 8)
    one, two = (ingest(reader, folder, out=out) for out in ("one", "two"))
    files = sorted(path.relative_to(one.out) for path in one.out.rglob("*") if path.is_file())
    assert len(files) == 6
    for name in files:
        assert (one.out / name).read_bytes() == (two.out / name).read_bytes(), name


def test_captions(world, ingest) -> None:
    folder = world("coco")
    official = json.loads((folder / "annotations/captions_train2017.json").read_text())
    result = ingest("coco_caption", folder)
    assert sorted(row.target for row in result.of("train")) == sorted(
        entry["caption"] for entry in official["annotations"]
    )
    for row in result.of("train"):
        assert len(row.images) == 1
        assert row.question == ""
        assert row.target in row.answers
        assert len(row.answers) == 5
    official = json.loads((folder / "annotations/captions_val2017.json").read_text())
    assert len(result.of("val")) == len(official["images"])
    row = result.of("val")[0]
    picture = json.loads(row.meta)["image_id"]
    assert row.answers == tuple(
        entry["caption"] for entry in official["annotations"] if entry["image_id"] == picture
    )
    stored = result.store.load(row.images[0])
    original = Image.open(folder / "val2017" / f"{picture:012d}.jpg")
    assert np.array_equal(np.asarray(stored), np.asarray(original))


def test_regions_are_crops_of_their_frame(world, ingest) -> None:
    folder = world("coco")
    path = folder / "annotations/instances_val2017.json"
    official = json.loads(path.read_text())
    categories = {entry["id"]: entry["name"] for entry in official["categories"]}
    for entry in official["annotations"]:
        entry["area"] = 2000.0  # the world's objects are small by COCO's own rule
    official["annotations"][0]["iscrowd"] = 1
    official["annotations"][1]["area"] = 1023.9
    path.write_text(json.dumps(official))
    for name in ("train", "test"):
        (folder / f"annotations/instances_{name}2017.json").unlink()
    result = ingest("coco_region", folder)
    assert result.manifest["unused"] == {"crowds": 1, "objects below 32 x 32 pixels": 1}
    taken = official["annotations"][2:]
    assert len(result.examples) == len(taken)
    by_id = {row.id: row for row in result.examples}
    for entry in taken:
        row = by_id[f"coco_region/val/{entry['image_id']}-{entry['id']}"]
        frame, crop = row.images
        assert row.target == categories[entry["category_id"]]
        assert row.answers == (row.target,)
        assert split_reference(crop)[0] == frame
        width, height = result.store.size(crop)
        assert entry["bbox"][2] <= width <= entry["bbox"][2] + 2
        assert entry["bbox"][3] <= height <= entry["bbox"][3] + 2


def test_vqa_keeps_the_ten_answers(world, ingest) -> None:
    folder = world("vqav2")
    path = folder / "v2_mscoco_val2014_annotations.json"
    annotations = json.loads(path.read_text())
    annotations["annotations"][0]["answers"][0]["answer"] = "a lone voice"
    path.write_text(json.dumps(annotations))
    result = ingest("vqav2", folder)
    official = {entry["question_id"]: entry for entry in annotations["annotations"]}
    for row in result.of("val"):
        entry = official[json.loads(row.meta)["question_id"]]
        assert row.answers == tuple(answer["answer"] for answer in entry["answers"])
        assert len(row.answers) == 10
        assert Counter(row.answers).most_common(1)[0][0] == row.target
        assert row.group == f"coco-{entry['image_id']}"


def test_vqa_without_public_answers_is_counted_not_rejected(world, ingest) -> None:
    folder = world("vqav2")
    (folder / "v2_mscoco_test2014_annotations.json").unlink()
    result = ingest("vqav2", folder)
    assert result.of("test") == []
    (what,) = result.manifest["unused"]
    assert what == "questions of test2014 without public answers"


def test_vcr_refers_to_crops_of_the_objects_spoken_of(world, ingest) -> None:
    folder = world("vcr")
    result = ingest("vcr", folder)
    official = {entry["annot_id"]: entry for entry in lines(folder / "val.jsonl")}
    for row in result.of("val"):
        entry = official[json.loads(row.meta)["annot_id"]]
        metadata = json.loads((folder / "vcr1images" / entry["metadata_fn"]).read_text())
        texts = [entry["question"], *entry["answer_choices"]]
        spoken = sorted(
            {n for text in texts for token in text if isinstance(token, list) for n in token}
        )
        crops = row.images[1:]
        assert len(crops) == len(spoken)
        for number, crop in zip(spoken, crops, strict=True):
            left, top, right, bottom = metadata["boxes"][number][:4]
            box = split_reference(crop)[1]
            assert box is not None
            assert box.left <= left < right <= box.right
            assert box.top <= top < bottom <= box.bottom
            assert box.right - box.left <= right - left + 2
        assert json.loads(row.meta)["image_names"][1:] == [entry["objects"][n] for n in spoken]
        assert row.choices[entry["answer_label"]] == row.target
        assert row.answer_index == entry["answer_label"]
        for token in entry["question"]:
            if isinstance(token, list):
                assert f"<image:{spoken.index(token[0]) + 1}>" in row.question


def test_vcr_rationales_follow_the_right_answer(world, ingest) -> None:
    folder = world("vcr")
    result = ingest("vcr_rationale", folder)
    official = {entry["annot_id"]: entry for entry in lines(folder / "val.jsonl")}
    assert len(result.of("val")) == len(official)
    for row in result.of("val"):
        entry = official[json.loads(row.meta)["annot_id"]]
        answer = entry["answer_choices"][entry["answer_label"]]
        texts = [entry["question"], answer, *entry["rationale_choices"]]
        spoken = sorted(
            {n for text in texts for token in text if isinstance(token, list) for n in token}
        )
        assert json.loads(row.meta)["image_names"][1:] == [entry["objects"][n] for n in spoken]
        assert len(row.images) == 1 + len(spoken)
        assert row.question.endswith(" Why?")
        for token in answer:
            words = [token] if isinstance(token, str) else [f"<image:{spoken.index(token[0]) + 1}>"]
            assert words[0] in row.question
        assert len(row.choices) == len(entry["rationale_choices"])
        assert row.choices[entry["rationale_label"]] == row.target
        assert row.answer_index == entry["rationale_label"]
        # the wrong answers are not given, nor what they alone speak of
        assert row.group == entry["img_id"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"rationale_label": 9}, "malformed"),
        ({"answer_label": -1}, "malformed"),
        ({"rationale_choices": [["one"]]}, "malformed"),
        ({"rationale_choices": [["it"], [[99]]], "rationale_label": 0}, "malformed"),
        ({"rationale_choices": [["it"], ["<image0>"]], "rationale_label": 0}, "reserved_token"),
        ({"rationale_choices": [["it"], []], "rationale_label": 0}, "empty_text"),
    ],
)
def test_vcr_rationales_that_cannot_be_used(world, ingest, change: dict, reason: str) -> None:
    folder = world("vcr")
    entries = lines(folder / "val.jsonl")
    entries[0] |= change
    (folder / "val.jsonl").write_text("\n".join(map(json.dumps, entries)))
    result = ingest("vcr_rationale", folder, limit=0.5)
    assert result.reasons == {entries[0]["annot_id"]: reason}


def hide_label(folder: Path, name: str) -> int:
    """Take a label from VCR's test questions, as officially; returns how many there are."""
    entries = lines(folder / "test.jsonl")
    for entry in entries:
        del entry[name]
    (folder / "test.jsonl").write_text("\n".join(map(json.dumps, entries)))
    return len(entries)


def test_vcr_without_rationale_labels_is_counted_not_rejected(world, ingest) -> None:
    folder = world("vcr")
    count = hide_label(folder, "rationale_label")
    result = ingest("vcr_rationale", folder)
    assert result.manifest["unused"] == {"questions of test.jsonl without public answers": count}
    assert len(ingest("vcr", folder, out="answers").of("test")) == count


def test_vcr_without_labels_is_counted_not_rejected(world, ingest) -> None:
    folder = world("vcr")
    count = hide_label(folder, "answer_label")
    result = ingest("vcr", folder)
    assert result.of("test") == []
    assert result.manifest["unused"] == {"questions of test.jsonl without public answers": count}


def test_nlvr2_takes_left_and_right(world, ingest) -> None:
    folder = world("nlvr2")
    result = ingest("nlvr2", folder)
    for split, name in (("train", "train"), ("val", "dev"), ("test", "test1")):
        official = lines(folder / f"{name}.json")
        assert len(result.of(split)) == len(official)
        for row, entry in zip(result.of(split), official, strict=True):
            assert row.target == entry["label"].lower()
            assert row.question == entry["sentence"]
            stem = entry["identifier"].rpartition("-")[0]
            for side, reference in enumerate(row.images):
                (path,) = folder.rglob(f"{stem}-img{side}.png")
                assert result.store.encoded(reference) == path.read_bytes()
            parts = entry["identifier"].split("-")
            assert row.group == f"{parts[0]}-{parts[1]}-{parts[3]}"


def test_pope_keeps_setting_and_order(world, ingest) -> None:
    folder = world("pope", 6)
    result = ingest("pope", folder)
    for setting in ("random", "popular", "adversarial"):
        official = lines(folder / f"coco_pope_{setting}.json")
        rows = [row for row in result.of("test") if json.loads(row.meta)["setting"] == setting]
        assert [(row.question, row.target) for row in rows] == [
            (entry["text"], entry["label"]) for entry in official
        ]
        assert [json.loads(row.meta)["question_id"] for row in rows] == [
            entry["question_id"] for entry in official
        ]


def test_winoground_keeps_official_order(world, ingest) -> None:
    folder = world("winoground", 6)
    result = ingest("winoground", folder)
    for row, entry in zip(result.of("test"), lines(folder / "data/examples.jsonl"), strict=True):
        assert row.choices == (entry["caption_0"], entry["caption_1"])
        for side, reference in enumerate(row.images):
            path = folder / "data/images" / f"{entry[f'image_{side}']}.png"
            assert result.store.encoded(reference) == path.read_bytes()


def test_raven_panels_are_stored_exactly(world, ingest) -> None:
    folder = world("raven", 6)
    result = ingest("raven", folder)
    paths = {
        f"{path.parent.name}-{path.stem.split('_')[1]}": path for path in folder.rglob("*.npz")
    }
    assert len(result.examples) == len(paths)
    for row in result.examples:
        archive = np.load(paths[row.id.rpartition("/")[2]], allow_pickle=False)
        assert row.answer_index == int(archive["target"])
        assert row.target == f"<image:{8 + row.answer_index}>"
        assert row.answers == (row.target,)
        for panel, reference in zip(archive["image"], row.images, strict=True):
            assert np.array_equal(np.asarray(result.store.load(reference).convert("L")), panel)


def test_the_frames_of_a_video_are_its_states(world, ingest) -> None:
    folder = world("msrvtt_qa")
    result = ingest("msrvtt_qa", folder, frames=4)
    plan, moved = Plan("msrvtt_qa", 3, 24), 0
    for split in ("train", "val", "test"):
        official = json.loads((folder / f"{split}_qa.json").read_text())
        for place, (row, entry) in enumerate(zip(result.of(split), official, strict=True)):
            assert (row.question, row.target) == (entry["question"], entry["answer"])
            assert row.answers == (row.target,)
            assert row.group == f"msrvtt-{entry['video_id']}"
            assert json.loads(row.meta) == {"video_id": entry["video_id"], "category_id": 8}
            states = sample_sequence(random.Random(plan.stream(split, place)), split).frames
            assert len(row.images) == len(states) == 4
            for reference, state in zip(row.images, states, strict=True):
                shown = np.asarray(result.store.load(reference), int)
                assert np.abs(shown - np.asarray(render_scene(state), int)).max() <= 20
            # A state that lasts is one picture of the store, and another state is another one.
            assert len(set(row.images)) == len(set(states))
            moved += len(set(states)) > 1
    assert moved > 20


def test_questions_about_one_video_share_its_frames(world, ingest) -> None:
    folder = world("msrvtt_qa", 8)
    path = folder / "val_qa.json"
    entries = json.loads(path.read_text())
    entries.append({**entries[0], "id": 999, "question": "what is  shown?", "answer": "a star"})
    path.write_text(json.dumps(entries))
    first, *_, last = ingest("msrvtt_qa", folder).of("val")
    assert (last.question, last.target) == ("what is shown?", "a star")
    assert (first.images, first.group) == (last.images, last.group)
