"""Pictures and videos with captions: official shapes, and each fault that a record can have."""

import hashlib
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from mmicl.errors import DataError
from mmicl.records import split_reference
from mmicl.sources import img2dataset


def photo(name: str, split: str, *captions: str, first: int = 0) -> dict[str, Any]:
    """An entry of Karpathy's Flickr30k file."""
    sentences = [
        {"raw": text, "sentid": first + place, "tokens": [], "imgid": 0}
        for place, text in enumerate(captions)
    ]
    return {"filename": name, "split": split, "sentences": sentences, "imgid": first}


def test_flickr30k(official, ingest, paint) -> None:
    entries = [
        photo("1.jpg", "train", "Ein Hund läuft 🐕 .", "two", first=0),
        photo("2.jpg", "test", "three", "four", first=10),
        photo("3.jpg", "train", " ", first=20),
        photo("4.jpg", "restval", "five", first=30),
        photo("5.jpg", "val", first=40),
        photo("gone.jpg", "val", "six", first=50),
        "no photo",
    ]
    folder = official({"dataset_flickr30k.json": {"images": entries}})
    paint(folder, *(f"flickr30k-images/{n}.jpg" for n in range(1, 6)))
    result = ingest("flickr30k", folder, limit=0.8)
    assert result.targets == {"1-0": "Ein Hund läuft 🐕 .", "1-1": "two", "2": "three"}
    assert result.of("test")[0].answers == ("three", "four")
    assert result.of("train")[0].images == result.of("train")[1].images
    assert result.reasons == {
        "20": "empty_text", "30": "malformed", "40": "malformed", "50": "missing_image",
        "record 7": "malformed",
    }  # fmt: skip


def test_nocaps_is_val_and_keeps_its_domain(official, ingest, paint) -> None:
    images = [
        {"id": 0, "file_name": "a.jpg", "domain": "near-domain"},
        {"id": 1, "file_name": "b.jpg"},
    ]
    captions = [{"id": n, "image_id": 0, "caption": f"caption {n}"} for n in range(3)]
    lost = {"id": 9, "image_id": 7, "caption": "of no picture"}
    folder = official(
        {"nocaps_val_4500_captions.json": {"images": images, "annotations": [*captions, lost]}}
    )
    paint(folder, "val/a.jpg")
    result = ingest("nocaps", folder, limit=0.5)
    (row,) = result.of("val")
    assert row.answers == ("caption 0", "caption 1", "caption 2")
    assert json.loads(row.meta)["domain"] == "near-domain"
    assert result.reasons == {"annotation 9": "unknown_picture"}
    assert result.manifest["unused"] == {"pictures without captions": 1}


def test_msrvtt(official, ingest, film) -> None:
    videos = [
        {"video_id": "video0", "split": "train", "url": "x"},
        {"video_id": "video1", "split": "validate"},
        {"video_id": "video2", "split": "train"},
        {"video_id": "video3", "split": "nowhere"},
        {"video_id": "video4", "split": "test"},
    ]
    sentences = [
        {"sen_id": n, "video_id": video, "caption": caption}
        for n, (video, caption) in enumerate(
            [
                ("video0", "a man sings"),
                ("video0", "singing"),
                ("video1", "a dog"),
                ("video1", "图"),
                ("video9", "nobody"),
                ("video4", "no film of it"),
            ]
        )
    ]
    folder = official({"train_val_videodatainfo.json": {"videos": videos, "sentences": sentences}})
    film(folder, "TrainValVideo/video0.mp4", "TrainValVideo/video1.mp4")
    result = ingest("msrvtt", folder, limit=0.8)
    assert result.targets == {"video0-0": "a man sings", "video0-1": "singing", "video1": "a dog"}
    assert {len(row.images) for row in result.examples} == {8}
    assert result.of("val")[0].group == "msrvtt-1"
    assert result.reasons == {
        "sentence 3": "reserved_token", "video3": "malformed", "sentence 4": "unknown_video",
        "video4": "missing_video",
    }  # fmt: skip
    assert result.manifest["unused"] == {"videos without captions": 1}


def test_diffusiondb_groups_pictures_of_a_prompt(official, ingest, paint) -> None:
    made = {
        "a.png": {"p": "a fox, 4k", "se": 1, "c": 7.0, "st": 50, "sa": "k_lms"},
        "b.png": {"p": "a fox,  4k", "se": 2},
        "c.png": {"p": "", "se": 3},
        "../d.png": {"p": "out", "se": 4},
        "e.png": "no object",
    }
    folder = official({"part-000001/part-000001.json": made})
    paint(folder, *(f"part-000001/{name}.png" for name in "abce"))
    result = ingest("diffusiondb", folder, limit=0.7)
    assert result.targets == {"a.png": "a fox, 4k", "b.png": "a fox, 4k"}
    assert len({row.group for row in result.examples}) == 1
    assert result.reasons["c.png"] == "empty_text"
    assert result.reasons["e.png"] == "malformed"
    assert "../d.png" in result.reasons


def region(number: int, x: int, y: int, width: int, height: int, **changes: Any) -> dict[str, Any]:
    return {
        "region_id": number, "image_id": 7, "phrase": f"phrase {number}", "x": x, "y": y,
        "width": width, "height": height, **changes,
    }  # fmt: skip


def test_visual_genome_boxes(official, ingest, paint) -> None:
    regions = [
        region(1, 2, 3, 4, 5),
        region(2, -3, 0, 10, 50),
        region(3, 5, 5, 0, 4),
        region(4, 90, 0, 5, 5),
        region(5, 0, 0, 5, 5, phrase="<image1>"),
        region(6, 0, 0, 5, 5, image_id=8),
        "no region",
        region(1, 0, 0, 5, 5),
    ]
    pictures = [{"id": 7, "regions": regions}, {"id": 9}]
    folder = official({"region_descriptions.json": pictures})
    paint(folder, "VG_100K_2/7.jpg")
    result = ingest("visual_genome", folder, limit=0.9)
    boxes = {row.target: split_reference(row.images[0])[1] for row in result.examples}
    assert boxes == {"phrase 1": (2, 3, 6, 8), "phrase 2": (0, 0, 7, 12)}
    assert result.manifest["images"] == 1
    assert result.manifest["quarantined"] == {
        "bad_box": 2, "reserved_token": 1, "missing_image": 1, "malformed": 2, "duplicate_id": 1,
    }  # fmt: skip


def jpeg(shade: int) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (16, 12), (shade, 0, 0)).save(stream, format="JPEG")
    return stream.getvalue()


def write_shard(folder: Path, rows: list[dict[str, Any]], members: dict[str, bytes]) -> Path:
    """A shard as img2dataset writes it; returns the tar."""
    folder.mkdir(exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), folder / "00000.parquet")
    path = folder / "00000.tar"
    with tarfile.open(path, "w") as archive:
        for name, data in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
        link = tarfile.TarInfo("000000009.jpg")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    return path


def row(key: int, caption: str | None, data: bytes, **changes: Any) -> dict[str, Any]:
    return {
        "url": f"https://example.org/{key}", "key": f"{key:09d}", "caption": caption,
        "status": "success", "sha256": hashlib.sha256(data).hexdigest(), **changes,
    }  # fmt: skip


def test_img2dataset_shards(tmp_path: Path, ingest) -> None:
    data = [jpeg(20 * n) for n in range(10)]
    rows = [row(n, f"text {n}", data[n]) for n in range(10)]
    rows[1]["sha256"] = hashlib.sha256(b"before re-encoding").hexdigest()
    rows[2].update(status="failed_to_download", sha256=None, caption="gone")
    rows[3]["caption"] = None
    rows[6]["caption"] = "  "
    members = {f"{n:09d}.jpg": data[n] for n in range(9) if n not in (2, 5)}
    members["000000004.json"] = json.dumps({"sha256": "of another run"}).encode()
    members["000000007.jpg"] = data[7][:-100]
    members["000000008.json"] = json.dumps({"sha256": rows[8]["sha256"]}).encode()
    write_shard(tmp_path / "shards", rows, members)
    result = ingest("cc3m", tmp_path / "shards", limit=0.9)
    assert [example.target for example in result.examples] == ["text 0", "text 1", "text 8"]
    original = [json.loads(example.meta)["original_bytes"] for example in result.examples]
    assert original == [True, False, True]
    assert result.manifest["digests"] == {"as fetched": 2, "of other bytes": 1}
    assert result.reasons == {
        "00000-000000003": "malformed", "00000-000000004": "digest",
        "00000-000000005": "missing_image", "00000-000000006": "empty_text",
        "00000-000000007": "unknown_format", "00000-000000009": "missing_image",
    }  # fmt: skip
    assert result.manifest["unused"] == {"addresses that gave no picture": 1}


def test_img2dataset_pictures_in_the_table(
    tmp_path: Path, ingest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`--output_format parquet`: the pictures are the column `jpg`, and there is no tar."""
    data = [jpeg(20 * n) for n in range(7)]
    rows = [row(n, f"text {n}", data[n], jpg=data[n]) for n in range(7)]
    rows[1]["jpg"] = jpeg(255)  # encoded anew
    rows[2].update(status="failed_to_download", sha256=None, caption="gone", jpg=None)
    rows[3]["jpg"] = None
    rows[4]["jpg"] = data[4][:-100]
    rows[5]["jpg"] += b"\0" * 5000
    monkeypatch.setattr(img2dataset, "MAX_BYTES", 5000)
    shards = tmp_path / "shards" / "00"
    shards.mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(rows), shards / "00000.parquet")
    result = ingest("cc12m", tmp_path / "shards", limit=0.9)
    assert [example.id for example in result.examples] == [
        f"cc12m/train/00/00000-{n:09d}" for n in (0, 1, 6)
    ]
    assert result.store.encoded(result.examples[0].images[0]) == data[0]
    assert result.manifest["digests"] == {"as fetched": 2, "of other bytes": 1}
    assert result.reasons == {
        "00/00000-000000003": "missing_image", "00/00000-000000004": "unknown_format",
        "00/00000-000000005": "too_many_bytes",
    }  # fmt: skip
    assert result.manifest["unused"] == {"addresses that gave no picture": 1}


def test_a_table_beside_its_tar_is_read_once_and_one_of_addresses_not_at_all(
    tmp_path: Path, ingest
) -> None:
    shards = tmp_path / "shards"
    write_shard(shards, [row(0, "x", jpeg(1))], {"000000000.jpg": jpeg(1)})
    pq.write_table(
        pa.Table.from_pylist([{"url": "https://example.org/0"}]), shards / "list.parquet"
    )
    (shards / "broken.parquet").write_bytes(b"no Parquet")
    result = ingest("cc3m", shards, limit=0.9)
    assert len(result.examples) == 1
    assert result.reasons == {"broken": "malformed"}
    assert result.manifest["unused"] == {"tables without pictures or a tar": 1}


def test_shards_of_one_name_in_two_folders_are_two(tmp_path: Path, ingest) -> None:
    for number, folder in enumerate(("", "part-0", "part-1")):
        data = jpeg(number)
        write_shard(tmp_path / "shards" / folder, [row(0, "x", data)], {"000000000.jpg": data})
    result = ingest("cc3m", tmp_path / "shards")
    assert result.targets == {
        "00000-000000000": "x", "part-0/00000-000000000": "x", "part-1/00000-000000000": "x",
    }  # fmt: skip


def test_a_cut_off_shard_loses_no_row_silently(tmp_path: Path, ingest) -> None:
    data = [jpeg(20 * n) for n in range(6)]
    rows = [row(n, f"text {n}", data[n]) for n in range(6)]
    path = write_shard(tmp_path / "shards", rows, {f"{n:09d}.jpg": data[n] for n in range(6)})
    path.write_bytes(path.read_bytes()[: 3 * 1536 + 700])
    result = ingest("laion400m", tmp_path / "shards", limit=0.9)
    assert 1 <= len(result.examples) < 6
    assert len(result.examples) + len(result.rejected) == 6
    assert set(result.reasons.values()) == {"missing_image"}


@pytest.mark.parametrize("table", [None, b"no Parquet"])
def test_a_shard_without_its_table_is_refused(tmp_path: Path, ingest, table: bytes | None) -> None:
    path = write_shard(tmp_path / "shards", [row(0, "x", b"")], {"000000000.jpg": jpeg(1)})
    path.with_suffix(".parquet").unlink()
    if table is not None:
        path.with_suffix(".parquet").write_bytes(table)
    with pytest.raises(DataError, match=r"1 of 1 records .*(missing_table|no table of Parquet)"):
        ingest("sbu", tmp_path / "shards", limit=0.5)


SCRIPTS = {
    "arabic": "كلب يجري على الشاطئ",
    "devanagari": "एक कुत्ता दौड़ रहा है",
    "thai": "สุนัขวิ่งบนชายหาด",
    "chinese": "一只狗在沙滩上奔跑",
    "family": "a 👨‍👩‍👧 on a beach",
    "combining": "cafe\u0301 am Fluß",
}


def test_captions_of_several_scripts_stay_as_they_are(official, ingest, paint) -> None:
    entries = [photo(f"{name}.jpg", "test", text) for name, text in SCRIPTS.items()]
    folder = official({"dataset_flickr30k.json": {"images": entries}})
    paint(folder, *(f"images/{name}.jpg" for name in SCRIPTS))
    assert ingest("flickr30k", folder).targets == SCRIPTS
