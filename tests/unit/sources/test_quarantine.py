"""What is wrong with a record, how it is counted, and when a dataset is refused."""

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

from mmicl.errors import ConfigError, DataError
from mmicl.files import read_rows
from mmicl.records import Rejected, Split
from mmicl.sources.reading import deal_group


def change_line(path: Path, number: int, change) -> None:
    """Rewrite one line of a JSON Lines file, as an object or as raw text."""
    lines = path.read_text().splitlines()
    changed = change(json.loads(lines[number]))
    lines[number] = changed if isinstance(changed, str) else json.dumps(changed)
    path.write_text("\n".join(lines) + "\n")


def reasons(result) -> list[str]:
    return [row.reason for row in result.rejected]


def test_a_malformed_line_among_good_ones(world, ingest) -> None:
    folder = world("nlvr2")
    change_line(folder / "dev.json", 2, lambda entry: '{"sentence": "cut o')
    whole = len((folder / "dev.json").read_text().splitlines())
    result = ingest("nlvr2", folder, limit=0.1)
    (rejected,) = result.rejected
    assert (rejected.reason, rejected.file) == ("malformed_json", "dev.json")
    assert rejected.record == "record 3"
    assert rejected.split == "val"
    assert len(result.of("val")) == whole - 1
    assert result.manifest["quarantined"] == {"malformed_json": 1}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda entry: {**entry, "sentence": "see <image0> here"}, "reserved_token"),
        (lambda entry: {**entry, "sentence": "图"}, "reserved_token"),
        (lambda entry: {**entry, "sentence": "  "}, "empty_text"),
        (lambda entry: {**entry, "sentence": 7}, "malformed"),
        (lambda entry: {**entry, "label": "Maybe"}, "malformed"),
        (lambda entry: {"label": "True"}, "malformed"),
        (lambda entry: [entry], "malformed"),
        (lambda entry: {**entry, "identifier": "dev-1"}, "malformed"),
        (lambda entry: {**entry, "identifier": "dev-77-0-0"}, "missing_image"),
        (lambda entry: {**entry, "identifier": "../../dev-0-0-0"}, "path_outside"),
        (lambda entry: "[" * 100_000, "malformed_json"),
        (lambda entry: '"not an object"', "malformed"),
        (lambda entry: {**entry, "sentence": "half \ud800 of a sign"}, "malformed"),
        (lambda entry: {**entry, "identifier": "dev-\ud800-0-0"}, "malformed"),
        (lambda entry: {**entry, "identifier": f"dev-{'9' * 3000}-0-0"}, "malformed"),
        (lambda entry: {**entry, "identifier": "dev-\0-0-0"}, "malformed"),
    ],
)
def test_each_fault_has_its_reason(world, ingest, change, reason: str) -> None:
    folder = world("nlvr2")
    entry = json.loads((folder / "dev.json").read_text().splitlines()[0])
    changed = change(entry)
    with (folder / "dev.json").open("a") as stream:
        stream.write((changed if isinstance(changed, str) else json.dumps(changed)) + "\n")
    assert reasons(ingest("nlvr2", folder, limit=0.1)) == [reason]


def test_a_picture_outside_the_dataset_is_not_read(world, ingest, tmp_path: Path) -> None:
    folder = world("pope", 6)
    (picture, *_) = sorted((folder / "val2014").iterdir())
    (tmp_path / "secret.jpg").write_bytes(picture.read_bytes())
    path = folder / "coco_pope_random.json"
    change_line(path, 0, lambda entry: {**entry, "image": "../../../secret.jpg"})
    change_line(path, 1, lambda entry: {**entry, "image": str(tmp_path / "secret.jpg")})
    (folder / "val2014" / "link.jpg").symlink_to(tmp_path / "secret.jpg")
    change_line(path, 2, lambda entry: {**entry, "image": "link.jpg"})
    assert reasons(ingest("pope", folder, limit=0.1)) == ["path_outside"] * 3


@pytest.mark.parametrize(
    "name",
    ["猫" * 100 + ".jpg", "a" * 252 + ".jpg", "猫/" * 1500 + "a.jpg", "\ud800" * 90 + ".jpg"],
)
def test_a_name_that_no_file_can_have_rejects_its_record(world, ingest, name: str) -> None:
    folder = world("pope", 6)
    path = folder / "coco_pope_random.json"
    change_line(path, 0, lambda entry: {**entry, "image": name})
    assert reasons(ingest("pope", folder, limit=0.1)) == ["malformed"]


def test_a_name_as_long_as_a_file_can_have_is_taken(world, ingest) -> None:
    folder = world("pope", 6)
    (picture, *_) = sorted((folder / "val2014").iterdir())
    name = "猫" * 83 + "ab.jpg"
    (folder / "val2014" / name).write_bytes(picture.read_bytes())
    change_line(folder / "coco_pope_random.json", 0, lambda entry: {**entry, "image": name})
    assert ingest("pope", folder).rejected == []


def test_a_truncated_picture_rejects_its_records(world, ingest) -> None:
    folder = world("pope", 6)
    (picture, *_) = sorted((folder / "val2014").iterdir())
    picture.write_bytes(picture.read_bytes()[:-200])
    result = ingest("pope", folder, limit=0.5)
    assert result.manifest["quarantined"] == {"truncated_image": 18}  # six in each setting
    assert all(picture.name in row.detail for row in result.rejected)
    assert result.manifest["images"] == 5


def test_above_the_threshold_nothing_is_written(world, ingest, tmp_path: Path) -> None:
    folder = world("pope", 6)
    pictures = sorted((folder / "val2014").iterdir())
    for picture in pictures[:2]:
        picture.write_bytes(picture.read_bytes()[:-200])
    pictures[2].unlink()
    with pytest.raises(DataError) as caught:
        ingest("pope", folder, limit=0.4, name="mine")
    message = str(caught.value)
    assert message.startswith("dataset mine: 54 of 108 records (50.0%) cannot be read")
    assert "max_quarantined 40.0%" in message
    assert "truncated_image (36)" in message
    assert "rejected.parquet" in message
    assert "\n" not in message
    assert list((tmp_path / "out").iterdir()) == []
    rejected = read_rows(tmp_path / "quarantine" / "rejected.parquet", Rejected)
    assert len(rejected) == 54
    result = ingest("pope", folder, limit=0.5, name="mine")  # exactly the threshold passes
    assert len(result.rejected) == 54
    assert not (tmp_path / "quarantine").exists()


def test_a_refused_dataset_leaves_the_old_outs(world, ingest) -> None:
    folder = world("pope", 6)
    first = ingest("pope", folder)
    (folder / "coco_pope_random.json").write_text("no JSON at all\n" * 200)
    with pytest.raises(DataError):
        ingest("pope", folder)
    assert len(first.examples) == 108
    assert (first.out / "examples" / "examples.parquet").is_file()


def test_a_broken_json_file_is_named(world, ingest) -> None:
    folder = world("coco")
    path = folder / "annotations/captions_val2017.json"
    path.write_text(path.read_text()[:-100])
    with pytest.raises(
        DataError, match=r"coco_caption: annotations/captions_val2017\.json: not JSON"
    ):
        ingest("coco_caption", folder, limit=1.0)
    path.write_text('{"images": []}')
    with pytest.raises(DataError, match="has no list 'annotations'"):
        ingest("coco_caption", folder, limit=1.0)


@pytest.mark.parametrize(
    "reader",
    [
        "coco_caption",
        "vqav2",
        "nlvr2",
        "nlvr1",
        "pope",
        "raven",
        "msrvtt_qa",
        "mme",
        "scienceqa",
        "mantis",
        "open_ended_mi",
    ],
)
def test_a_folder_without_official_files_is_refused(reader: str, ingest, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=f"dataset {reader}: no record found.*it reads"):
        ingest(reader, tmp_path / "empty", limit=1.0)


def test_a_bad_caption_does_not_take_its_picture_along(world, ingest) -> None:
    folder = world("coco")
    path = folder / "annotations/captions_val2017.json"
    official = json.loads(path.read_text())
    official["annotations"][0]["caption"] = "a 图 in the text"
    del official["annotations"][1]["image_id"]
    official["annotations"][2]["image_id"] = 999_999
    official["images"][1]["file_name"] = None
    path.write_text(json.dumps(official))
    result = ingest("coco_caption", folder, limit=0.5)
    assert sorted(reasons(result)) == sorted(
        ["reserved_token", "malformed", "malformed"] + ["unknown_picture"] * 6
    )
    first = next(
        row for row in result.of("val") if row.group == f"coco-{official['images'][0]['id']}"
    )
    assert len(first.answers) == 2


def test_vqa_joins_are_checked(world, ingest) -> None:
    folder = world("vqav2")
    path = folder / "v2_mscoco_val2014_annotations.json"
    official = json.loads(path.read_text())
    entries = official["annotations"]
    entries[0]["answers"][3]["answer"] = "<image3>"
    entries[1]["image_id"] += 1
    entries[2]["answers"] = []
    del entries[3]["multiple_choice_answer"]
    path.write_text(json.dumps(official))
    result = ingest("vqav2", folder, limit=0.5)
    assert sorted(reasons(result)) == sorted(
        ["reserved_token", "malformed", "malformed", "malformed"]
    )


def test_vcr_boxes_are_checked(world, ingest) -> None:
    folder = world("vcr")
    entries = [json.loads(line) for line in (folder / "val.jsonl").read_text().splitlines()]
    first, second = entries[0], entries[2]  # of two pictures
    path = folder / "vcr1images" / first["metadata_fn"]
    metadata = json.loads(path.read_text())
    metadata["boxes"] = [[500.0, 500.0, 600.0, 600.0, 1.0]] * len(metadata["boxes"])
    path.write_text(json.dumps(metadata))
    path = folder / "vcr1images" / second["metadata_fn"]
    metadata = json.loads(path.read_text())
    path.write_text(json.dumps({**metadata, "width": 999}))
    result = ingest("vcr", folder, limit=0.5)
    found = {row.record: row.reason for row in result.rejected}
    assert found[first["annot_id"]] == "bad_box"
    assert found[second["annot_id"]] == "malformed"
    assert set(found.values()) == {"bad_box", "malformed"}


def test_raven_archives_are_checked(world, ingest) -> None:
    folder = world("raven", 12)
    paths = sorted(folder.rglob("*.npz"))
    panels = np.zeros((16, 160, 160), np.uint8)
    paths[0].write_bytes(paths[0].read_bytes()[:500])
    np.savez(paths[1], image=panels[:15], target=0)
    np.savez(paths[2], image=panels, target=8)
    np.savez(paths[3], image=np.array([{}] * 16, dtype=object), target=0)  # would need pickle
    np.savez_compressed(paths[4], image=np.zeros((16, 4000, 4000), np.uint8), target=0)
    result = ingest("raven", folder, limit=0.9)
    assert reasons(result) == ["malformed"] * 5
    assert "holds more than" in result.rejected[-1].detail or any(
        "holds more than" in row.detail for row in result.rejected
    )


def write_npz(path: Path, header: bytes) -> None:
    """An archive whose array has a header of its own, with a right checksum."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("image.npy", b"\x93NUMPY\1\0" + len(header).to_bytes(2, "little") + header)


@pytest.mark.filterwarnings("ignore:Reading `.npy`")  # numpy's guess at some of the headers
def test_damage_within_a_raven_archive_rejects_its_record_alone(world, ingest) -> None:
    folder = world("raven", 12)
    paths = sorted(folder.rglob("*.npz"))
    np.savez_compressed(paths[0], image=np.zeros((16, 160, 160), np.uint8), target=0)
    whole = paths[0].read_bytes()
    start = 30 + len("image.npy") + 20  # a zip's local header, with zip64 sizes
    paths[0].write_bytes(whole[:start] + b"\xff" * 9 + whole[start + 9 :])  # zlib.error
    entry = whole.index(b"PK\1\2")
    paths[1].write_bytes(whole[: entry + 8] + b"\1" + whole[entry + 9 :])  # "encrypted"
    paths[2].write_bytes(whole[: entry + 10] + b"\x63" + whole[entry + 11 :])  # method 99
    header = "{'descr': '|u1', 'fortran_order': False, 'shape': %s}\n"
    write_npz(paths[3], (header % "(16, 1000000, 1000000)").encode())  # MemoryError
    write_npz(paths[4], (header % f"(16, {10**30}, 4)").encode())  # OverflowError
    write_npz(paths[5], (header % "(16, ").encode())  # the tokenizer's own error
    result = ingest("raven", folder, limit=0.9)
    assert reasons(result) == ["malformed"] * 6
    assert all(row.detail.startswith("not a RAVEN archive (") for row in result.rejected)
    assert len(result.examples) == len(paths) - 6


def test_videos_and_their_questions_are_checked(world, ingest) -> None:
    folder = world("msrvtt_qa", 8)
    path = folder / "train_qa.json"
    entries = json.loads(path.read_text())
    videos = [folder / "videos" / f"video{entry['video_id']}.mp4" for entry in entries]
    videos[0].unlink()
    videos[1].write_bytes(b"")
    videos[2].write_bytes(videos[2].read_bytes()[:-200])
    foreign = videos[6].read_bytes()
    assert b"avc1" in foreign
    videos[6].write_bytes(foreign.replace(b"avc1", b"zzzz"))
    entries[3]["answer"] = " "
    entries[4]["question"] = "what is <image0>?"
    entries[5]["video_id"] = "../video5"
    entries.append({**entries[0], "id": 999})
    path.write_text(json.dumps(entries))
    result = ingest("msrvtt_qa", folder, limit=0.5)
    assert reasons(result) == [
        "missing_video", "empty_file", "truncated_video", "empty_text", "reserved_token",
        "malformed", "unknown_format", "missing_video",
    ]  # fmt: skip
    assert all("video" in row.detail for row in result.rejected if "video" in row.reason)
    assert len(result.of("train")) == 1


def test_a_double_record_is_rejected(world, ingest) -> None:
    folder = world("pope", 6)
    path = folder / "coco_pope_random.json"
    path.write_text(path.read_text() + path.read_text().splitlines()[0])
    result = ingest("pope", folder, limit=0.1)
    assert reasons(result) == ["duplicate_id"]
    assert len(result.examples) == 108


def test_resplit_deals_whole_groups(world, ingest) -> None:
    shares = {"train": 0.5, "val": 0.2, "test": 0.3}
    result = ingest("pope", world("pope", 60), resplit=shares)
    places: dict[str, set[str]] = {}
    for row in result.examples:
        places.setdefault(row.group, set()).add(row.split)
    assert all(len(splits) == 1 for splits in places.values())
    assert result.manifest["splits"]["train"] > 18 * 15
    assert all(result.manifest["splits"].values())
    assert result.manifest["resplit"] == shares
    with pytest.raises(ConfigError, match="do not add up to 1"):
        ingest("pope", world("winoground", 6), resplit={"train": 0.5, "val": 0.2})


def test_a_group_is_dealt_by_its_name_alone() -> None:
    shares: dict[Split, float] = {"train": 0.7, "val": 0.1, "test": 0.2}
    dealt = [deal_group(f"coco-{number}", shares) for number in range(10_000)]
    for split, share in shares.items():
        assert dealt.count(split) / 10_000 == pytest.approx(share, abs=0.02)
    assert deal_group("coco-8844", shares) == "train"  # stable between versions and machines
    assert {deal_group(f"coco-{number}", {"test": 1.0}) for number in range(50)} == {"test"}
