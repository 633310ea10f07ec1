"""The stages fetch and ingest, and `mmicl ingest`'s function, on the real world."""

import json
from pathlib import Path

import pytest

from mmicl.config import Config, check_config, read_params
from mmicl.errors import ConfigError, DataError, UserError
from mmicl.files import read_json, read_rows
from mmicl.images.store import ImageStore
from mmicl.paths import Paths
from mmicl.records import Example
from mmicl.stages import StageContext
from mmicl.stages import fetch as fetch_stage
from mmicl.stages import ingest as ingest_stage
from mmicl.stages.ingest import ingest_uri
from mmicl.world import generate

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    (tmp_path / "root").mkdir()
    return Paths(tmp_path / "root", tmp_path / "state")


def configure(source: str, **changes: object) -> Config:
    params = read_params(ROOT / "profiles" / "tiny.yaml")
    params["datasets"]["nlvr2"].update(source=source, **changes)
    return check_config(params, "test")


def run_stages(paths: Paths, config: Config) -> StageContext:
    contexts = [
        StageContext(f"{stage}@nlvr2", "nlvr2", config, paths, "0") for stage in ("fetch", "ingest")
    ]
    fetch_stage.run(contexts[0])
    ingest_stage.run(contexts[1])
    return contexts[1]


def test_fetch_and_ingest(paths: Paths) -> None:
    context = run_stages(paths, configure("world://nlvr2?n=16&seed=1"))
    examples = read_rows(paths.examples("nlvr2") / "examples.parquet", Example)
    store = ImageStore([paths.images("nlvr2")])
    assert all(reference in store for row in examples for reference in row.images)
    assert context.facts["examples"] == len(examples)
    assert context.facts["splits"]["train"] == 16
    raw = read_json(paths.raw("nlvr2") / "manifest.json")
    assert raw["licence"] == "CC0-1.0"
    manifest = read_json(paths.examples("nlvr2") / "manifest.json")
    listed = {entry["path"]: entry["sha256"] for entry in raw["files"]}
    assert manifest["sources"] == {
        name: listed[name] for name in ("train.json", "dev.json", "test1.json")
    }
    assert str(paths.root) not in json.dumps([raw, manifest])


def test_a_truncated_picture_below_and_above_the_threshold(paths: Paths) -> None:
    world = paths.root / "official"
    world.mkdir()
    generate("nlvr2", {"n": 16, "seed": 1}, world)
    picture = world / "dev" / "dev-0-0-img0.png"
    picture.write_bytes(picture.read_bytes()[:150])
    context = run_stages(paths, configure("official", max_quarantined=0.2))
    assert context.facts["quarantined"] == {"truncated_image": 2}
    with pytest.raises(DataError, match=r"dataset nlvr2: 2 of .*truncated_image") as caught:
        run_stages(paths, configure("official", max_quarantined=0.01))
    quarantine = paths.cache("quarantine") / "nlvr2" / "rejected.parquet"
    assert str(quarantine) in str(caught.value)
    assert quarantine.is_file()


def test_wrong_parameters_are_named(paths: Paths) -> None:
    with pytest.raises(UserError, match="no reader named flickr; there are aokvqa"):
        run_stages(paths, configure("world://nlvr2?n=8&seed=1", reader="flickr"))
    with pytest.raises(ConfigError, match=r"datasets\.nlvr2\.resplit: the shares do not add"):
        run_stages(paths, configure("world://nlvr2?n=8&seed=1", resplit={"train": 0.5}))


def test_ingest_uri_reads_a_folder_in_place(paths: Paths, world) -> None:
    folder = world("vqav2", 8)
    before = sorted(folder.rglob("*"))
    out = paths.root / "look"
    manifest = ingest_uri("vqav2", str(folder), out, paths)
    assert sorted(path.name for path in out.iterdir()) == [
        "examples.parquet",
        "images",
        "manifest.json",
        "pictures.parquet",
        "rejected.parquet",
    ]
    assert manifest["splits"]["train"] == 24
    assert read_json(out / "manifest.json") == manifest
    assert sorted(folder.rglob("*")) == before
    assert list(paths.cache("ingest").iterdir()) == []
    assert ingest_uri("vqav2", str(folder), out, paths) == manifest  # replaces its own outs


def test_ingest_uri_through_an_alias(paths: Paths, world, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = world("coco", 8)
    monkeypatch.setenv("MMICL_SOURCE_DATA", str(folder.parent))
    whole = ingest_uri("coco_caption", "alias://DATA/coco", paths.root / "one", paths)
    part = ingest_uri(
        "coco_caption",
        "alias://DATA/coco?include=annotations/captions_val2017.json,val2017/*",
        paths.root / "two",
        paths,
    )
    assert whole["splits"]["train"] == 40
    assert part["splits"] == {**whole["splits"], "train": 0, "test": 0}


def test_ingest_uri_takes_a_dataset_of_params(paths: Paths, world) -> None:
    tiny = (ROOT / "profiles" / "tiny.yaml").read_text()
    (paths.root / "params.yaml").write_text(tiny)
    manifest = ingest_uri("coco", str(world("coco", 4)), paths.root / "look", paths)
    assert manifest["reader"] == "coco_caption"
    with pytest.raises(UserError, match="no reader named flickr"):
        ingest_uri("flickr", "nowhere", paths.root / "look", paths)


def test_ingest_uri_leaves_other_folders_alone(paths: Paths, world) -> None:
    out = paths.root / "precious"
    out.mkdir()
    (out / "thesis.txt").write_text("years")
    with pytest.raises(UserError, match="holds other things"):
        ingest_uri("vqav2", str(world("vqav2", 4)), out, paths)
    assert (out / "thesis.txt").read_text() == "years"
    with pytest.raises(UserError, match="no such folder"):
        ingest_uri("vqav2", "nowhere/at/all", paths.root / "look", paths)
    assert not (paths.root / "look").exists()
