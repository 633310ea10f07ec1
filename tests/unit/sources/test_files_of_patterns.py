"""Roles of readers that find their files by a pattern, or pictures beside a table."""

import base64
import json
import shutil
from pathlib import Path

import pytest

from mmicl.sources import READERS

WANDERERS = {"cc12m", "cc3m", "diffusiondb", "laion400m", "open_ended_mi", "raven", "sbu"}
"""Readers that look for shards or puzzles wherever they lie below the folder."""
MOVED = {
    "coco_caption": ("coco", {"train": "captions_train2017.json", "train_images": "train2017"}),
    "nlvr2": ("nlvr2", {"dev": "dev.json", "images": "images"}),
    "vcr": ("vcr", {"val": "val.jsonl", "images": "vcr1images"}),
    "pope": ("pope", {"popular": "coco_pope_popular.json", "images": "val2014"}),
    "mme": ("mme", {"count": "count"}),
    "winoground": ("winoground", {"items": "data/examples.jsonl", "images": "data/images"}),
    "mantis": ("mantis", {"val": "val.json"}),
}
"""Reader -> the world's dataset, and where its writer puts what a role stands for."""


def test_every_other_reader_has_roles() -> None:
    assert {name for name, reader in READERS.items() if not reader.roles} == WANDERERS


@pytest.mark.parametrize("reader", sorted(MOVED))
def test_files_of_other_names_give_the_same_examples(reader: str, world, ingest) -> None:
    name, places = MOVED[reader]
    folder = world(name)
    wanted = ingest(reader, folder, out="official")
    files = {}
    for number, (role, place) in enumerate(places.items()):
        (path, *_) = [folder / place] if (folder / place).exists() else folder.rglob(place)
        own = path.with_name(f"own {number}{path.suffix}")
        path.rename(own)
        files[role] = own.relative_to(folder).as_posix()
    found = ingest(reader, folder, out="named", files=files)
    assert found.examples == wanted.examples
    assert found.manifest["quarantined"] == {}


def test_a_named_file_stands_for_the_one_of_its_official_name(world, ingest) -> None:
    folder = world("pope")
    (path,) = folder.rglob("coco_pope_random.json")
    shutil.copy(path, folder / "mine.json")
    path.write_text("no JSON")
    assert ingest("pope", folder, files={"random": "mine.json"}).examples


def test_a_split_is_read_off_the_official_name(official, ingest, paint) -> None:
    captions = {
        "images": [{"id": 7, "file_name": "7.jpg"}],
        "annotations": [{"id": 1, "image_id": 7, "caption": "A dog."}],
    }
    folder = official({"captions_train2017.json": captions})
    paint(folder, "images/7.jpg")
    result = ingest("coco_caption", folder, files={"val": "captions_train2017.json"})
    assert [row.id for row in result.examples] == ["coco_caption/val/7"]


def test_nlvr1_table_and_pictures(official, ingest, paint) -> None:
    line = {
        "identifier": "10-0", "directory": "3", "sentence": "There is a box.", "label": "true",
    }  # fmt: skip
    folder = official({"mine.json": json.dumps(line)})
    paint(folder, "drawn/3/dev-10-0-0.png")
    result = ingest("nlvr1", folder, files={"dev": "mine.json", "images": "drawn"})
    assert [row.split for row in result.examples] == ["val"]


def test_nocaps_captions_and_photos(official, ingest, paint) -> None:
    photos = {
        "images": [{"id": 1, "file_name": "a.jpg", "domain": "in"}],
        "annotations": [{"id": 1, "image_id": 1, "caption": "A dog."}],
    }
    folder = official({"c.json": photos})
    paint(folder, "p/a.jpg")
    result = ingest("nocaps", folder, files={"captions": "c.json", "images": "p"})
    assert len(result.examples) == 1


def test_bongard_hoi_part_and_pictures(official, ingest, paint) -> None:
    side = [{"im_path": f"./cache/hake/images/{n}.jpg"} for n in range(14)]
    folder = official({"b.json": [[side[:7], side[7:], "ride++horse"]]})
    paint(folder, *(f"h/images/{n}.jpg" for n in range(14)))
    files = {"test_seen_obj_unseen_act": "b.json", "images": "h"}
    result = ingest("bongard_hoi", folder, files=files)
    assert {row.id for row in result.examples} == {
        f"bongard_hoi/test/test_seen_obj_unseen_act-1-{answer}" for answer in ("yes", "no")
    }


def test_wikiart_lists_names_and_artworks(official, ingest, paint) -> None:
    lists = {f"{kind}.csv": "s/a.jpg,0\n" for kind in ("g", "a", "s")}
    names = {f"{kind}.txt": "0 some_name\n" for kind in ("g", "a", "s")}
    folder = official(lists | names)
    paint(folder, "art/s/a.jpg")
    files = {"images": "art"}
    for kind in ("genre", "artist", "style"):
        files |= {f"val_{kind}": f"{kind[0]}.csv", f"{kind}_names": f"{kind[0]}.txt"}
    result = ingest("wikiart", folder, files=files)
    (row,) = result.examples
    assert row.target == "some name by some name in the style of some name"
    assert [row.split for row in result.examples] == ["val"]


def test_mmbench_table(official, ingest, paint, tmp_path: Path) -> None:
    header = "index\tquestion\thint\tA\tB\tC\tD\tcategory\timage\tanswer\n"
    paint(tmp_path, "one.png")
    data = base64.b64encode((tmp_path / "one.png").read_bytes()).decode()
    folder = official({"b.tsv": header + f"1\tWhat?\t\tx\ty\t\t\tocr\t{data}\tA\n"})
    result = ingest("mmbench", folder, files={"dev": "b.tsv"})
    assert [row.split for row in result.examples] == ["val"]
