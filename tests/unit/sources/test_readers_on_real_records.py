"""The readers against the real records beside the checkout, by the counts that their files have."""

import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mmicl.config import load_config
from mmicl.errors import DataError
from mmicl.fetch import fetch_dataset
from mmicl.files import hash_file, read_rows
from mmicl.records import Rejected, split_reference

ROOT = Path(__file__).resolve().parents[3]
EXPECTED = {
    "nlvr1": (
        {"train": 123, "val": 12, "test": 30},
        165,
        {"other orders of a picture's boxes": 825},
    ),
    "coco": ({"train": 105, "val": 2, "test": 7}, 30, {}),
    "region": (
        {"train": 178, "val": 37, "test": 82},
        60,
        {"crowds": 5, "objects below 32 x 32 pixels": 238},
    ),
    "pope": ({"train": 0, "val": 0, "test": 108}, 6, {}),
}


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_the_reference_profile_counts(
    name: str, shared_data: Path, tmp_path: Path, ingest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MMICL_SOURCE_DATA", str(shared_data))
    datasets = load_config(ROOT / "profiles" / "reference.yaml").datasets

    def read(name: str) -> Any:
        dataset, folder = datasets[name], tmp_path / "raw" / name
        fetch_dataset(
            dataset.source, folder, licence=dataset.licence, state=tmp_path / "state", root=ROOT,
            generate=lambda *_: pytest.fail("no world in this profile"),
        )  # fmt: skip
        lender = dataset.lender and read(dataset.lender).out / "images"
        return ingest(
            dataset.reader, folder, out=name, name=name, resplit=dataset.resplit, lender=lender
        )

    result, folder = read(name), tmp_path / "raw" / name
    splits, images, unused = EXPECTED[name]
    assert result.manifest["splits"] == splits
    assert result.manifest["images"] == images
    assert result.manifest["unused"] == unused
    assert result.manifest["quarantined"] == {}
    manifest = json.loads((folder / "manifest.json").read_text())
    assert str(shared_data) not in json.dumps([manifest, result.manifest])


def test_coco_and_region_deal_a_photo_to_the_same_split(shared_data: Path, ingest) -> None:
    shares = {"train": 0.6, "val": 0.2, "test": 0.2}
    photos = shared_data / "coco_photos"
    places: dict[str, set[str]] = {}
    for reader in ("coco_caption", "coco_region"):
        for row in ingest(reader, photos, out=reader, resplit=shares).examples:
            places.setdefault(row.group, set()).add(row.split)
    assert all(len(splits) == 1 for splits in places.values())


def test_coco_captions_row_by_row(shared_data: Path, ingest) -> None:
    photos = shared_data / "coco_photos"
    result = ingest("coco_caption", photos)
    rows = {row.id: row for row in result.examples}
    captions = json.loads((photos / "annotations" / "captions.json").read_text())["annotations"]
    of_photo: dict[int, list[str]] = {}
    for one in captions:
        of_photo.setdefault(one["image_id"], []).append(" ".join(one["caption"].split()))
    for one in captions:
        photo = one["image_id"]
        row = rows.pop(f"coco_caption/train/{photo}-{one['id']}")
        assert row.target == " ".join(one["caption"].split())
        assert row.answers == tuple(of_photo[photo])
        assert row.images == (hash_file(photos / "images" / f"{photo:012}.jpg"),)
    assert not rows


def test_nlvr1_row_by_row(shared_data: Path, ingest) -> None:
    folder = shared_data / "nlvr1"
    result = ingest("nlvr1", folder)
    assert Counter(row.target for row in result.examples) == {"true": 90, "false": 75}
    assert {row.split for row in result.examples} == {"val"}
    rows = {row.id: row for row in result.examples}
    for line in map(json.loads, (folder / "dev.json").read_text().splitlines()):
        row = rows.pop(f"nlvr1/val/{line['identifier']}")
        assert (row.question, row.target) == (" ".join(line["sentence"].split()), line["label"])
        drawn = folder / "images" / "0" / f"dev-{line['identifier']}-0.png"
        assert row.images == (hash_file(drawn),)
        assert row.group == f"nlvr1-{line['identifier'].split('-')[0]}"
    assert not rows
    drawn = Image.open(folder / "images" / "0" / "dev-2536-0-0.png")
    shown = result.store.load(hash_file(folder / "images" / "0" / "dev-2536-0-0.png"))
    assert (drawn.mode, shown.mode, shown.size) == ("RGBA", "RGB", (400, 100))


def test_region_row_by_row(shared_data: Path, ingest) -> None:
    """All objects but crowds and small ones; no side of a crop is a pixel away from the box."""
    photos = shared_data / "coco_photos"
    result = ingest("coco_region", photos)
    rows = {row.id: row for row in result.examples}
    official = json.loads((photos / "annotations" / "instances.json").read_text())
    names = {one["id"]: one["name"] for one in official["categories"]}
    for one in official["annotations"]:
        if one["iscrowd"] or one["area"] < 1024:
            continue
        row = rows.pop(f"coco_region/train/{one['image_id']}-{one['id']}")
        frame, crop = row.images
        assert frame == hash_file(photos / "images" / f"{one['image_id']:012}.jpg")
        owner, box = split_reference(crop)
        left, top, width, height = one["bbox"]
        assert (owner, row.target) == (frame, names[one["category_id"]])
        assert box is not None
        assert np.abs(np.subtract(box, (left, top, left + width, top + height))).max() < 1
        result.store.size(crop)  # raises where the crop leaves the photo
    assert not rows
    assert result.store.load(result.examples[0].images[1]).mode == "RGB"


def test_pope_without_its_pictures_is_refused(shared_data: Path, ingest) -> None:
    with pytest.raises(DataError, match=r"9000 of 9000 records .*missing_image"):
        ingest("pope", shared_data / "pope", limit=0.5)


def test_nlvr2_without_its_pictures_is_refused(shared_data: Path, ingest) -> None:
    with pytest.raises(DataError, match=r"6982 of 6982 records .*missing_image"):
        ingest("nlvr2", shared_data / "nlvr2", limit=0.5)


def test_okvqa_questions_without_their_annotations(shared_data: Path, ingest) -> None:
    with pytest.raises(DataError, match=r"9009 of 9009 .*missing_annotation.*mscoco_train2014_ann"):
        ingest("okvqa", shared_data / "okvqa", limit=0.9)


def test_msrvtt_qa_without_its_videos_is_refused(shared_data: Path, ingest, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"6027 of 6027 records .*missing_video"):
        ingest("msrvtt_qa", shared_data / "msrvtt_qa", limit=0.5)
    rejected = read_rows(tmp_path / "quarantine" / "rejected.parquet", Rejected)
    assert Counter((row.split, row.reason) for row in rejected) == {("val", "missing_video"): 6027}
    assert rejected[0].record == "158607"
    assert "video6514.mp4" in rejected[0].detail


def test_pope_in_one_array_is_as_in_lines(shared_data: Path, take, ingest) -> None:
    """The official folder coco/ has JSON Lines under .json, seem/ an array."""
    folder = take(shared_data / "coco_photos", "qa/*_pope_*", "images/*")
    lines = ingest("pope", folder, out="lines")
    for path in (folder / "qa").iterdir():
        path.write_text(json.dumps([json.loads(line) for line in path.read_text().splitlines()]))
    array = ingest("pope", folder, out="array")
    assert array.examples == lines.examples
    assert Counter(json.loads(row.meta)["setting"] for row in array.examples) == dict.fromkeys(
        ("random", "popular", "adversarial"), 36
    )


def test_okvqa_over_real_photos(shared_data: Path, take, ingest) -> None:
    folder = take(shared_data / "coco_photos", "qa/okvqa_*", "images/*")
    files = {"val_questions": "qa/okvqa_questions_no_answers.json"}
    with pytest.raises(DataError, match=r"10 of 10 records .*missing_annotation"):
        ingest("okvqa", folder, limit=0.9, files=files)
    questions = json.loads((folder / files["val_questions"]).read_text())["questions"]
    annotations = [
        {
            "question_id": one["question_id"],
            "image_id": one["image_id"],
            "answers": [{"answer": "x"}],
        }
        for one in questions
    ]
    path = folder / "mscoco_val2014_annotations.json"
    path.write_text(json.dumps({"annotations": annotations}))
    result = ingest("okvqa", folder, files=files)
    assert result.manifest["splits"] == {"train": 0, "val": 10, "test": 0}
    for row, one in zip(result.examples, questions, strict=True):
        photo = folder / f"images/{one['image_id']:012}.jpg"
        assert (row.question, row.images) == (one["question"], (hash_file(photo),))
    assert result.examples[0].question == "What kind of flowers are in the vase?"


def test_mme_over_real_photos(shared_data: Path, tmp_path: Path, ingest) -> None:
    photos = shared_data / "coco_photos"
    folder = tmp_path / "mme"
    for line in (photos / "qa" / "mme_on_photos.tsv").read_text().splitlines():
        subtask, picture, asked = line.split("\t", 2)
        (folder / subtask).mkdir(parents=True, exist_ok=True)
        shutil.copyfile(photos / "images" / picture, folder / subtask / picture)
        with (folder / subtask / f"{Path(picture).stem}.txt").open("a") as stream:
            stream.write(f"{asked}\n")
    result = ingest("mme", folder)
    assert [(row.id, row.question[:26], row.target) for row in result.examples] == [
        ("mme/test/existence-000000008844-0", "Is there a person in this ", "yes"),
        ("mme/test/existence-000000008844-1", "Is there a sink in this im", "no"),
        ("mme/test/color-000000006723-0", "Is there a red brick build", "yes"),
        ("mme/test/color-000000006723-1", "Is there a yellow brick bu", "no"),
    ]
    assert result.examples[0].images == (hash_file(photos / "images/000000008844.jpg"),)
    assert result.examples[0].group == "coco-8844"


def test_raven_matrices(shared_data: Path, tmp_path: Path, ingest) -> None:
    """Greyscale drawings of whole matrices, cut into panels and put as RAVEN's archives are."""
    source, folder = shared_data / "raven_generated", tmp_path / "raven"
    right: dict[str, np.ndarray] = {}
    for number, item in enumerate(json.loads((source / "items.json").read_text())):
        kinds = [f"alternative_{other}" for other in range(7)]
        kinds.insert(number % 8, "answer")
        matrices = [cut(source / f"{item['name']}_{kind}.png") for kind in kinds]
        assert all(np.array_equal(matrix[:8], matrices[0][:8]) for matrix in matrices)
        panels = np.stack([*matrices[0][:8], *(matrix[8] for matrix in matrices)])
        configuration = folder / item["name"].rpartition("_")[0]
        configuration.mkdir(parents=True, exist_ok=True)
        np.savez(
            configuration / f"RAVEN_{number}_test.npz", image=panels, target=np.uint8(number % 8)
        )
        right[f"raven/test/{configuration.name}-{number}"] = matrices[number % 8][8]
    result = ingest("raven", folder)
    assert result.manifest["splits"] == {"train": 0, "val": 0, "test": 16}
    assert {row.id for row in result.examples} == right.keys()
    for row in result.examples:
        assert len(set(row.images[8:])) == 8
        assert row.target == f"<image:{8 + row.answer_index}>"
        assert row.answer_index == int(row.id.rpartition("-")[2]) % 8
        chosen = result.store.load(row.images[8 + row.answer_index])
        assert chosen.mode == "RGB"
        assert np.array_equal(np.asarray(chosen.convert("L")), right[row.id])


def cut(path: Path) -> np.ndarray:
    """The nine panels of a drawn matrix, (9, 160, 160) uint8, row by row."""
    with Image.open(path) as picture:
        assert picture.mode == "L"
        pixels = np.asarray(picture)
    return pixels.reshape(3, 160, 3, 160).swapaxes(1, 2).reshape(9, 160, 160)
