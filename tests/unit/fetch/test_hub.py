"""Datasets of the hub, out of a folder in the layout of its cache, without a network."""

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
from huggingface_hub import constants, snapshot_download
from huggingface_hub.utils import filter_repo_objects

from mmicl.errors import DataError, TransientError, UserError
from mmicl.fetch import Manifest

Fetch = Callable[..., Manifest]
COMMIT = "0123456789abcdef0123456789abcdef01234567"
FILES = {"README.md": b"card", "data/train.json": b"[1]", "data/images/0.jpg": b"picture"}


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A hub cache that holds one dataset, and no network."""
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    write_commit(tmp_path / "hub", COMMIT, FILES)
    return tmp_path / "hub"


def write_commit(cache: Path, commit: str, files: dict[str, bytes]) -> None:
    repository = cache / "datasets--owner--name"
    for name, content in files.items():
        blob = repository / "blobs" / hashlib.sha256(content).hexdigest()
        blob.parent.mkdir(parents=True, exist_ok=True)
        blob.write_bytes(content)
        link = repository / "snapshots" / commit / name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(blob)
    (repository / "refs").mkdir(exist_ok=True)
    (repository / "refs" / "main").write_text(commit)


def test_a_folder_of_a_dataset(fetch: Fetch, raw: Path, cache: Path) -> None:
    manifest = fetch("hf://datasets/owner/name/data")
    assert [entry.path for entry in manifest.files] == ["images/0.jpg", "train.json"]
    assert manifest.files[1].origin == f"hf://datasets/owner/name@{COMMIT}/data/train.json"
    assert (raw / "images/0.jpg").read_bytes() == b"picture"
    assert not (raw / "images/0.jpg").is_symlink()
    shutil.rmtree(cache)
    shutil.rmtree(raw)
    assert fetch("hf://datasets/owner/name/data") == manifest  # it lies in the store


def test_a_file_a_pattern_and_a_commit(fetch: Fetch, raw: Path, cache: Path) -> None:
    manifest = fetch(f"hf://datasets/owner/name@{COMMIT}/data/train.json")
    assert [entry.path for entry in manifest.files] == ["train.json"]
    assert manifest.files[0].origin == f"hf://datasets/owner/name@{COMMIT}/data/train.json"
    manifest = fetch("hf://datasets/owner/name?include=**/*.jpg")
    assert [entry.path for entry in manifest.files] == ["data/images/0.jpg"]


@pytest.mark.parametrize(
    ("uri", "patterns", "expected"),
    [
        ("", None, set(FILES)),
        ("/data", ["data", "data/*"], {"data/train.json", "data/images/0.jpg"}),
        ("/data/train.json", ["data/train.json", "data/train.json/*"], {"data/train.json"}),
        ("?include=**/*.jpg", ["**.jpg"], {"data/images/0.jpg"}),
        ("?include=**/README.md,data/*.json", ["*README.md", "data/*.json"],
         {"README.md", "data/train.json"}),
        ("/data?include=**/train.json", ["data", "data/*train.json"], {"data/train.json"}),
        ("/data?include=./images/**/*.jpg", ["data", "data/images/**.jpg"], {"data/images/0.jpg"}),
    ],
)  # fmt: skip
def test_no_more_is_asked_of_the_hub_than_include_names(
    fetch: Fetch, cache: Path, monkeypatch: pytest.MonkeyPatch,
    uri: str, patterns: list[str] | None, expected: set[str],
) -> None:  # fmt: skip
    asked: list[list[str] | None] = []

    def download(name: str, **options: Any) -> str:
        asked.append(options["allow_patterns"])
        return snapshot_download(name, **options)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    manifest = fetch(f"hf://datasets/owner/name{uri}")
    assert asked == [patterns]
    assert set(filter_repo_objects(FILES, allow_patterns=patterns)) == expected
    assert {(file.origin or "").partition(f"{COMMIT}/")[2] for file in manifest.files} == expected


def test_a_branch_that_moved_to_other_content_is_refused(
    fetch: Fetch, raw: Path, cache: Path, tmp_path: Path
) -> None:
    fetch("hf://datasets/owner/name/data")
    shutil.rmtree(raw)
    (kept,) = (tmp_path / "state" / "downloads").glob("*/files/train.json")
    kept.unlink()
    write_commit(cache, "f" * 40, {**FILES, "data/train.json": b"[2]"})
    with pytest.raises(DataError, match=r"data/train\.json: changed upstream: its sha256 is"):
        fetch("hf://datasets/owner/name/data")


def test_what_is_not_there(fetch: Fetch, cache: Path) -> None:
    with pytest.raises(UserError, match=r"the dataset has no nowhere; check the path and the rev"):
        fetch("hf://datasets/owner/name/nowhere")
    with pytest.raises(UserError, match=r"the dataset has no \*\.json, \*\.jpg in nowhere; check"):
        fetch("hf://datasets/owner/name/nowhere?include=*.json,*.jpg")
    with pytest.raises(TransientError, match=r"datasets/owner/other: Cannot find an appropriate"):
        fetch("hf://datasets/owner/other")


def test_a_link_out_of_the_cache_is_refused(fetch: Fetch, cache: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"secret")
    snapshot = cache / "datasets--owner--name" / "snapshots" / COMMIT
    (snapshot / "data" / "x.json").symlink_to(tmp_path / "secret")
    with pytest.raises(UserError, match=r"x\.json is a link out of the folder"):
        fetch("hf://datasets/owner/name/data")


def test_a_hub_that_does_not_answer_may_answer_later(
    fetch: Fetch, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:1")
    with pytest.raises(TransientError, match="datasets/owner/other: Got: ConnectError"):
        fetch("hf://datasets/owner/other")
