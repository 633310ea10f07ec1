"""The stages fetch and ingest, and `mmicl ingest`'s function, on the real world."""

import json
from pathlib import Path

import pytest

from mmicl.config import Config, check_config, load_config, read_params
from mmicl.errors import ConfigError, DataError, UserError
from mmicl.files import read_json, read_rows
from mmicl.images.look import PICTURES, PictureRow
from mmicl.images.store import ImageStore
from mmicl.paths import Paths
from mmicl.records import Example, Rejected
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


def write_questions(folder: Path, pictures: dict[int, str]) -> None:
    """POPE's questions, one a picture."""
    lines = [
        {"question_id": n, "image": name, "text": f"Is thing {n} there?", "label": "yes"}
        for n, name in pictures.items()
    ]
    text = "\n".join(map(json.dumps, lines))
    (folder / "coco_pope_random.json").write_text(text)


def test_pictures_of_one_collection_are_stored_once(paths: Paths) -> None:
    official = paths.root / "pope"
    (official / "val2014").mkdir(parents=True)
    generate("coco", {"n": 16, "seed": 1}, paths.root / "coco")
    lent, own = sorted((paths.root / "coco" / "train2017").iterdir())[:2]
    elsewhere, same = sorted((paths.root / "coco" / "test2017").iterdir())[:2]
    (official / "val2014" / "copy.jpg").write_bytes(lent.read_bytes())
    generate("coco", {"n": 8, "seed": 5}, paths.root / "other")
    foreign = next((paths.root / "other" / "train2017").iterdir())
    for name in ("own.jpg", same.name):  # the second is another picture's name in coco
        (official / "val2014" / name).write_bytes(foreign.read_bytes())
    names = [f"COCO_train2014_{own.name}", "copy.jpg", "own.jpg", same.name, elsewhere.name]
    names += ["none.jpg", "../x.jpg"]
    write_questions(official, dict(enumerate(names)))
    params = read_params(ROOT / "profiles" / "tiny.yaml")
    params["datasets"]["coco"].update(source="coco")
    params["datasets"]["pope"].update(source="pope", pictures="images/coco", max_quarantined=0.5)
    config = check_config(params, "test")
    for name in ("coco", "pope"):
        for stage in (fetch_stage, ingest_stage):
            context = StageContext(f"x@{name}", name, config, paths, "0")
            stage.run(context)
    assert context.facts["quarantined"] == {"missing_image": 1, "path_outside": 1}
    assert (context.facts["images"], context.facts["borrowed"]) == (4, 3)
    stored = ImageStore([paths.images("pope")])
    assert len(stored) == 1, "the one picture that coco lacks"
    both = ImageStore([paths.images("coco"), paths.images("pope")])
    examples = read_rows(paths.examples("pope") / "examples.parquet", Example)
    assert [row.images[0] in both for row in examples] == [True] * 5
    assert examples[2].images == examples[3].images, "its own file comes before the same name"
    assert examples[1].images[0] in ImageStore([paths.images("coco")]), "a copy is not stored again"
    manifest = read_json(paths.examples("pope") / "manifest.json")
    assert manifest["lender"] == "coco"
    looks = read_rows(paths.examples("pope") / PICTURES, PictureRow)
    assert {row.sha256 for row in looks} == {row.images[0] for row in examples}
    (rejected,) = [
        row for row in read_rows(paths.examples("pope") / "rejected.parquet", Rejected)
        if row.reason == "missing_image"
    ]  # fmt: skip
    assert "no such picture, and coco has none" in rejected.detail


@pytest.mark.parametrize("profile", sorted(ROOT.glob("profiles/*flan-t5-x*.yaml")), ids=str)
def test_the_full_size_profiles_store_no_photo_of_coco_twice(profile: Path) -> None:
    datasets = load_config(profile).datasets
    assert [datasets[name].lender for name in ("vqav2", "pope", "stvqa", "mme")] == ["coco"] * 4


def test_pictures_are_borrowed_from_a_dataset_before_that_stores_its_own() -> None:
    params = read_params(ROOT / "profiles" / "tiny.yaml")
    datasets = params["datasets"]
    for wrong in ("images/mme", "images/pope", "images/none", "raw/coco"):
        datasets["pope"]["pictures"] = wrong
        with pytest.raises(ConfigError, match=rf"datasets\.pope\.pictures: {wrong} is not there"):
            check_config(params, "test")
    datasets["pope"]["pictures"] = "images/coco"
    datasets["mme"]["pictures"] = "images/pope"
    with pytest.raises(ConfigError, match=r"datasets\.mme\.pictures: images/pope is not there"):
        check_config(params, "test")


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
