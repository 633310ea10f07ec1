"""The readers against the real records beside the checkout, by the counts that their files have."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from mmicl.config import load_config
from mmicl.errors import DataError
from mmicl.fetch import fetch_dataset
from mmicl.files import read_rows
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


def test_nlvr1_labels_and_pictures(shared_data: Path, ingest) -> None:
    result = ingest("nlvr1", shared_data / "nlvr1")
    assert Counter(row.target for row in result.examples) == {"true": 90, "false": 75}
    assert {row.split for row in result.examples} == {"val"}
    row = next(row for row in result.examples if row.id == "nlvr1/val/2536-0")
    assert row.group == "nlvr1-2536"
    assert row.question.startswith("There is a black square touching the wall")
    assert result.store.size(row.images[0]) == (400, 100)


def test_region_crops_lie_within_real_photos(shared_data: Path, ingest) -> None:
    result = ingest("coco_region", shared_data / "coco_photos")
    for row in result.examples:
        frame, crop = row.images
        assert split_reference(crop)[0] == frame
        result.store.size(crop)  # raises where the crop leaves the photo
    assert result.store.load(result.examples[0].images[1]).mode == "RGB"


def test_pope_without_its_pictures_is_refused(shared_data: Path, ingest) -> None:
    with pytest.raises(DataError, match=r"9000 of 9000 records .*missing_image"):
        ingest("pope", shared_data / "pope", limit=0.5)


def test_nlvr2_without_its_pictures_is_refused(shared_data: Path, ingest) -> None:
    with pytest.raises(DataError, match=r"6982 of 6982 records .*missing_image"):
        ingest("nlvr2", shared_data / "nlvr2", limit=0.5)


def test_msrvtt_qa_without_its_videos_is_refused(shared_data: Path, ingest, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"6027 of 6027 records .*missing_video"):
        ingest("msrvtt_qa", shared_data / "msrvtt_qa", limit=0.5)
    rejected = read_rows(tmp_path / "quarantine" / "rejected.parquet", Rejected)
    assert Counter((row.split, row.reason) for row in rejected) == {("val", "missing_video"): 6027}
    assert rejected[0].record == "158607"
    assert "video6514.mp4" in rejected[0].detail
