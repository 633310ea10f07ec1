"""The chain over real records: counts, quarantine and lineage are right, whatever it scores."""

import json
from collections import Counter
from pathlib import Path

import pytest
from checkouts import run_in

from mmicl.files import read_rows
from mmicl.images.store import ImageStore
from mmicl.records import Example, Sample

pytestmark = [pytest.mark.alone, pytest.mark.oracle, pytest.mark.timeout(1500)]


@pytest.fixture(scope="module")
def workspace(chain: Path, shared_data: Path) -> Path:
    """The workspace of the profile, after its chain ran."""
    result = run_in(chain, "mmicl", "run", "--profile", "reference", "--data", str(shared_data))
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
    assert "Model mmicl-reference version" in result.stdout
    (folder,) = (path for path in chain.glob(".mmicl/workspaces/reference-*") if path.is_dir())
    return folder


def test_every_real_record_is_an_example_and_counted(workspace: Path) -> None:
    found = {
        name: Counter(
            row.split
            for row in read_rows(workspace / f"data/examples/{name}/examples.parquet", Example)
        )
        for name in ("nlvr1", "coco", "region", "pope")
    }
    assert found["nlvr1"].total() == 165
    assert found["pope"] == {"test": 108}
    assert all(
        counts["train"] and counts["test"] for name, counts in found.items() if name != "pope"
    )
    for name in found:
        manifest = json.loads((workspace / f"data/examples/{name}/manifest.json").read_text())
        assert manifest["quarantined"] == {}, manifest


def test_no_photo_is_stored_twice(workspace: Path) -> None:
    stores = {
        path.name: list(ImageStore([path]).references()) for path in workspace.glob("data/images/*")
    }
    keys = [key for store in stores.values() for key in store]
    assert len(keys) == len(set(keys))
    borrowed = {
        name: json.loads((workspace / f"data/examples/{name}/manifest.json").read_text())[
            "borrowed"
        ]
        for name in stores
    }
    assert borrowed == {"nlvr1": 0, "region": 0, "coco": 30, "pope": 4}


def test_no_photo_that_is_tested_with_is_trained_on(workspace: Path) -> None:
    tested = {
        image.partition("@")[0]
        for path in workspace.glob("data/examples/*/examples.parquet")
        for row in read_rows(path, Example)
        if row.split == "test"
        for image in row.images
    }
    for part in ("pretrain", "finetune"):
        rows = read_rows(workspace / f"data/mic/{part}.parquet", Sample)
        assert rows
        assert not {image.partition("@")[0] for row in rows for image in row.images} & tested


def test_the_gate_of_the_data_held(workspace: Path) -> None:
    report = json.loads((workspace / "reports/validation.json").read_text())
    assert report["failed_critical"] == 0
    assert report["failed_warning"] == 0


def test_no_path_of_the_machine_reaches_the_lock(workspace: Path, shared_data: Path) -> None:
    assert str(shared_data) not in (workspace / "dvc.lock").read_text()
    assert str(shared_data) not in (workspace / "params.yaml").read_text()


def test_lineage_names_the_real_files(workspace: Path, chain: Path, shared_data: Path) -> None:
    result = run_in(chain, "mmicl", "trace", "mmicl-reference@candidate", "--json")
    assert result.returncode == 0, result.stderr
    manifest = json.loads((workspace / "data/raw/nlvr1/manifest.json").read_text())
    assert len(manifest["files"]) > 900
    assert all(file["sha256"] in result.stdout for file in manifest["files"])
    assert str(shared_data) not in result.stdout
