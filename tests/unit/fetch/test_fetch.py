import json
import os
import shutil
from pathlib import Path

import pytest

from mmicl.errors import DataError, UserError
from mmicl.fetch import Manifest, fetch_dataset, parse_source, read_manifest
from mmicl.files import hash_file


def render(name: str, options: dict[str, int], folder: Path) -> None:
    """A world of one text file; what the real one writes is tested with the readers."""
    (folder / f"{name}.txt").write_text(json.dumps(options, sort_keys=True))


@pytest.fixture
def official(tmp_path: Path) -> Path:
    folder = tmp_path / "outside" / "coco"
    (folder / "images").mkdir(parents=True)
    (folder / "annotations").mkdir()
    for number in range(4):
        (folder / "images" / f"{number}.jpg").write_bytes(bytes([number]) * 100)
    (folder / "annotations" / "captions.json").write_text("{}")
    return folder


def fetch(tmp_path: Path, source: str, name: str = "coco") -> Manifest:
    return fetch_dataset(
        source,
        tmp_path / "root" / "data" / "raw" / name,
        licence="CC0-1.0",
        state=tmp_path / "state",
        root=tmp_path / "root",
        generate=render,
    )


def test_an_alias_is_copied_and_described(
    tmp_path: Path, official: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MMICL_SOURCE_DATA", str(official.parent))
    manifest = fetch(tmp_path, "alias://DATA/coco")
    folder = tmp_path / "root/data/raw/coco"
    assert [entry.path for entry in manifest.files] == [
        "annotations/captions.json",
        *(f"images/{number}.jpg" for number in range(4)),
    ]
    for entry in manifest.files:
        assert hash_file(folder / entry.path) == entry.sha256
        assert (folder / entry.path).stat().st_size == entry.size
    text = (folder / "manifest.json").read_text()
    assert str(tmp_path) not in text
    assert read_manifest(folder) == manifest
    assert manifest.licence == "CC0-1.0"
    assert not [path for path in (tmp_path / "state").iterdir() if path.is_dir()]


def test_a_second_fetch_copies_nothing(
    tmp_path: Path, official: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MMICL_SOURCE_DATA", str(official.parent))
    first = fetch(tmp_path, "alias://DATA/coco")
    copied: list[str] = []
    monkeypatch.setattr(shutil, "copy2", lambda *paths: copied.append(paths[0]))
    assert fetch(tmp_path, "alias://DATA/coco") == first
    assert not copied


def test_a_changed_source_is_fetched_again(
    tmp_path: Path, official: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MMICL_SOURCE_DATA", str(official.parent))
    fetch(tmp_path, "alias://DATA/coco")
    (official / "images" / "4.jpg").write_bytes(b"new")
    (official / "images" / "0.jpg").unlink()
    manifest = fetch(tmp_path, "alias://DATA/coco")
    names = [entry.path for entry in manifest.files]
    assert "images/4.jpg" in names
    assert not (tmp_path / "root/data/raw/coco/images/0.jpg").exists()


def test_an_interrupted_fetch_goes_on_where_it_was(
    tmp_path: Path, official: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MMICL_SOURCE_DATA", str(official.parent))
    copy, copied = shutil.copy2, []

    def stop_after_three(source: Path, target: Path) -> None:
        if len(copied) == 3:
            target.write_bytes(b"half")  # killed while it writes
            raise KeyboardInterrupt
        copied.append(source.name)
        copy(source, target)

    monkeypatch.setattr(shutil, "copy2", stop_after_three)
    with pytest.raises(KeyboardInterrupt):
        fetch(tmp_path, "alias://DATA/coco")
    assert not (tmp_path / "root/data/raw/coco").exists()

    def count(source: Path, target: Path) -> None:
        copied.append(source.name)
        copy(source, target)

    monkeypatch.setattr(shutil, "copy2", count)
    manifest = fetch(tmp_path, "alias://DATA/coco")
    assert sorted(copied) == ["0.jpg", "1.jpg", "2.jpg", "3.jpg", "captions.json"]
    folder = tmp_path / "root/data/raw/coco"
    lying = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert lying == {entry.path for entry in manifest.files} | {"manifest.json"}


def test_include_takes_only_what_is_named(
    tmp_path: Path, official: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MMICL_SOURCE_DATA", str(official.parent))
    manifest = fetch(tmp_path, "alias://DATA/coco?include=annotations/*.json,images/[01].jpg")
    assert [entry.path for entry in manifest.files] == [
        "annotations/captions.json",
        "images/0.jpg",
        "images/1.jpg",
    ]
    with pytest.raises(UserError, match=r"no file matches nothing/\*"):
        fetch(tmp_path, "alias://DATA/coco?include=nothing/*")


def test_a_missing_alias_names_the_variable(
    tmp_path: Path, official: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MMICL_SOURCE_DATA", raising=False)
    with pytest.raises(UserError, match="MMICL_SOURCE_DATA is not set; export MMICL_SOURCE_DATA="):
        fetch(tmp_path, "alias://DATA/coco")
    monkeypatch.setenv("MMICL_SOURCE_DATA", str(official.parent))
    with pytest.raises(UserError, match=r"no such folder.*flickr.*check MMICL_SOURCE_DATA"):
        fetch(tmp_path, "alias://DATA/flickr")


def test_a_folder_of_the_repository(tmp_path: Path, official: Path) -> None:
    shutil.copytree(official, tmp_path / "root" / "official")
    manifest = fetch(tmp_path, "official?include=images/*.jpg")
    assert len(manifest.files) == 4
    assert manifest.origin == "folder official of the repository"
    written = json.loads((tmp_path / "root/data/raw/coco/manifest.json").read_text())
    assert set(written) == {"source", "origin", "licence", "files"}
    assert set(written["files"][0]) == {"path", "size", "sha256"}
    with pytest.raises(UserError, match="no such folder"):
        fetch(tmp_path, "nowhere")


def test_a_fetched_folder_may_be_a_source(tmp_path: Path, official: Path) -> None:
    shutil.copytree(official, tmp_path / "root" / "official")
    first = fetch(tmp_path, "official")
    again = fetch(tmp_path, "data/raw/coco", name="copy")
    assert again.files == first.files
    (tmp_path / "root" / "official" / "manifest.json").write_text("{}")
    with pytest.raises(UserError, match=r"manifest\.json is taken"):
        fetch(tmp_path, "official", name="other")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("gs://bucket/coco", "gs:// is not a source; known are world, alias, https, s3, hf"),
        ("s3:///coco", "names no bucket"),
        ("s3://bucket/../coco", "leads out of its folder"),
        ("s3://bucket/coco?name=x", "unknown option name; here one can say include, sha256, unp"),
        ("s3://bucket/coco?sha256=123", "sha256 is not 64 hexadecimal digits"),
        ("hf://datasets/coco", "named hf://datasets/OWNER/NAME"),
        ("hf://models/owner/name", "named hf://datasets/OWNER/NAME"),
        ("https://example.org/", "does not end in a file's name; add #name=FILE"),
        ("https:///coco.zip", "not a web address"),
        ("https://example.org:port/coco.zip", "not a web address"),
        ("https://me:secret@example.org/coco.zip", "/coco.zip: an address with a password"),
        ("https://example.org/coco.zip#include=x", "unknown option include"),
        ("world://coco https://example.org/x.zip", "a world is a dataset of its own"),
        ("alias://DATA/coco?unpack=../x.zip", "unpack leads out"),
        ("/etc", "absolute path is one machine's own.*alias://"),
        ("../outside/coco", "leads out of its folder"),
        ("alias://DATA/../other", "leads out of its folder"),
        ("alias://data/coco", "in capitals"),
        ("alias://DATA/coco?exclude=x", "unknown option exclude"),
        ("alias://DATA/coco?include=../*", "include leads out"),
        ("alias://DATA/coco?include=", "names no pattern"),
        ("world://coco?n=many", "n is not a whole number"),
    ],
)
def test_wrong_sources_are_refused(tmp_path: Path, source: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        fetch(tmp_path, source)


def test_links_out_of_the_folder_are_refused(
    tmp_path: Path, official: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MMICL_SOURCE_DATA", str(official.parent))
    (tmp_path / "secret.txt").write_text("secret")
    link = official / "images" / "secret.jpg"
    link.symlink_to(tmp_path / "secret.txt")
    with pytest.raises(UserError, match=r"images/secret\.jpg is a link out of the folder"):
        fetch(tmp_path, "alias://DATA/coco")
    link.unlink()
    link.symlink_to(official / "images" / "0.jpg")  # within the folder: its content is copied
    fetch(tmp_path, "alias://DATA/coco")
    copy = tmp_path / "root/data/raw/coco/images/secret.jpg"
    assert copy.is_file()
    assert not copy.is_symlink()


def test_broken_links_are_named(
    tmp_path: Path, official: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MMICL_SOURCE_DATA", str(official.parent))
    link = official / "images" / "9.jpg"
    for target in ("nowhere.jpg", "9.jpg"):
        link.symlink_to(target)
        with pytest.raises(UserError, match=r"images/9\.jpg is a broken link"):
            fetch(tmp_path, "alias://DATA/coco")
        link.unlink()


def test_a_pipe_is_refused(tmp_path: Path, official: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MMICL_SOURCE_DATA", str(official.parent))
    os.mkfifo(official / "images" / "pipe.jpg")
    with pytest.raises(UserError, match="not a regular file"):
        fetch(tmp_path, "alias://DATA/coco")


def test_a_name_that_is_no_text_is_refused(
    tmp_path: Path, official: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MMICL_SOURCE_DATA", str(official.parent))
    Path(os.fsdecode(bytes(official / "images") + b"/\xff.jpg")).write_bytes(b"")
    with pytest.raises(UserError, match="unprintable signs"):
        fetch(tmp_path, "alias://DATA/coco")


def test_a_world_is_rendered_and_described(tmp_path: Path) -> None:
    manifest = fetch(tmp_path, "world://coco?n=3&seed=5")
    assert [entry.path for entry in manifest.files] == ["coco.txt"]
    text = (tmp_path / "root/data/raw/coco/coco.txt").read_text()
    assert json.loads(text) == {"n": 3, "seed": 5}
    assert manifest.origin == "procedural world coco (n=3, seed=5)"
    fetch(tmp_path, "world://coco?n=4")
    text = (tmp_path / "root/data/raw/coco/coco.txt").read_text()
    assert json.loads(text) == {"n": 4, "seed": 0}


def test_read_manifest_names_what_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        read_manifest(tmp_path)
    (tmp_path / "manifest.json").write_text('{"files": 3}')
    with pytest.raises(DataError, match="not the manifest"):
        read_manifest(tmp_path)


def test_origin_says_where_files_come_from() -> None:
    assert parse_source("alias://DATA/a/b").origin == "folder a/b of the source DATA"


def test_options_of_remote_sources() -> None:
    web = parse_source("https://example.org/a%20b.zip?token=1#unpack=none&sha256=" + "0" * 64)
    assert (web.kind, web.path.name, web.unpack) == ("web", "a b.zip", ())
    assert web.address == web.origin == "https://example.org/a%20b.zip?token=1"
    named = parse_source("https://example.org/get?id=3#name=annotations/x.json")
    assert named.path.as_posix() == "annotations/x.json"
    hub = parse_source("hf://datasets/owner/name@v1.0/data/train?include=*.json")
    assert (hub.name, hub.revision, hub.path.as_posix()) == ("owner/name", "v1.0", "data/train")
    assert hub.origin == "hf://datasets/owner/name@v1.0/data/train"
    several = parse_source("https://example.org/a.zip\n  s3://bucket/b")
    assert [part.kind for part in several.parts] == ["web", "s3"]
    assert several.origin == "https://example.org/a.zip; s3://bucket/b"


def test_include_matches_names_as_it_matches_files() -> None:
    source = parse_source("s3://bucket/coco?include=*.json,images/**/*.jpg")
    taken = ("a.json", "images/1.jpg", "images/a/b/2.jpg")
    left = ("sub/a.json", "images/1.png", "other/1.jpg")
    assert [source.takes(name) for name in taken + left] == [True] * 3 + [False] * 3


def test_archives_of_a_folder_are_unpacked_where_the_source_says_so(
    tmp_path: Path, official: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MMICL_SOURCE_DATA", str(official.parent))
    shutil.make_archive(str(official / "more" / "val"), "gztar", official, "annotations")
    manifest = fetch(tmp_path, "alias://DATA/coco?include=images/0.jpg,more/*&unpack=**/*.gz")
    names = [entry.path for entry in manifest.files]
    assert names == ["images/0.jpg", "more/annotations/captions.json"]
    assert manifest.files[1].origin == "more/val.tar.gz"
    assert [entry.path for entry in manifest.archives] == ["more/val.tar.gz"]
    assert fetch(tmp_path, "alias://DATA/coco").archives == ()


def test_files_of_two_sources_do_not_cover_each_other(
    tmp_path: Path, official: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MMICL_SOURCE_DATA", str(official.parent))
    with pytest.raises(UserError, match=r"0\.jpg comes from two of the sources"):
        fetch(tmp_path, "alias://DATA/coco/images alias://DATA/coco/images?include=0.jpg")
