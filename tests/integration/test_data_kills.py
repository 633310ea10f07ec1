"""Ingest and build killed in their middle (SIGKILL), and started again."""

import itertools
import os
import signal
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest

from mmicl.config import Config, check_config, read_params
from mmicl.files import RowWriter, hash_file
from mmicl.images.ahead import Ahead
from mmicl.mic import builder
from mmicl.paths import Paths
from mmicl.sources import ahead
from mmicl.stages import StageContext, augment, build, fetch, ingest

ROOT = Path(__file__).resolve().parents[2]


def configure() -> Config:
    params = read_params(ROOT / "profiles" / "tiny.yaml")
    params["datasets"] = {"coco": params["datasets"]["coco"] | {"source": "world://coco?n=60"}}
    params["build"] |= {"pretrain": {"coco": 200}, "finetune": {"coco": 200}}
    params["evaluate"]["benchmarks"] = {}
    params["launch"]["workers"] = 2
    return check_config(params, "test")


@pytest.fixture(autouse=True)
def small_works(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that little data has many works."""
    monkeypatch.setattr(ahead, "SMALL", 5)
    monkeypatch.setattr(ahead, "WORK_PICTURES", 8)
    monkeypatch.setattr(builder, "ROWS_A_TASK", 16)


def run(stage: Any, folder: Path, fingerprint: str = "0") -> dict[str, Any]:
    """Run a stage on a small checkout; its facts."""
    paths = Paths(folder, folder / "state")
    name = stage.__name__.rpartition(".")[2]
    item = "coco" if stage in (fetch, ingest) else None
    context = StageContext(name, item, configure(), paths, fingerprint)
    stage.run(context)
    return context.facts


def kill_at(call: int, kind: type, name: str, work: Callable[[], Any]) -> None:
    """Do a work in a process that is killed as it calls a method for the so-and-so-manieth time."""

    def work_and_die() -> None:
        method, calls = getattr(kind, name), itertools.count(1)

        def count(*arguments: Any) -> Any:
            if next(calls) == call:
                os.kill(os.getpid(), signal.SIGKILL)
            return method(*arguments)

        setattr(kind, name, count)
        work()

    process = get_context("fork").Process(target=work_and_die)
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL


def read_hashes(folder: Path) -> dict[str, str]:
    """Of all files below `data`, those that begin with a dot among them."""
    files = (path for path in sorted((folder / "data").rglob("*")) if path.is_file())
    return {path.relative_to(folder).as_posix(): hash_file(path) for path in files}


def test_a_killed_ingest_takes_up_what_it_had_finished(tmp_path: Path) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    for folder in (whole, killed):
        run(fetch, folder)
    told = run(ingest, whole)
    assert told["works_taken_up"] == 0
    kill_at(5, Ahead, "load", lambda: run(ingest, killed))
    assert not (killed / "data" / "examples" / "coco").exists()
    kept = killed / "state" / "cache" / "ingest-works" / "coco" / "0"
    before = {path.name: path.stat().st_mtime_ns for path in kept.glob("*.arrow")}
    assert 5 <= len(before) < told["works"]
    kill_at(7, Ahead, "load", lambda: run(ingest, killed))
    after = {path.name: path.stat().st_mtime_ns for path in kept.glob("*.arrow")}
    assert before.items() < after.items(), "what was finished was left alone, and more was done"
    again = run(ingest, killed)
    assert again["works"] == told["works"]
    assert again["works_taken_up"] >= 7
    assert read_hashes(killed) == read_hashes(whole)
    assert not kept.exists()


def test_an_ingest_of_another_fingerprint_takes_up_nothing(tmp_path: Path) -> None:
    run(fetch, tmp_path)
    kill_at(5, Ahead, "load", lambda: run(ingest, tmp_path))
    assert run(ingest, tmp_path, fingerprint="1")["works_taken_up"] == 0
    assert not any((tmp_path / "state" / "cache" / "ingest-works" / "coco").iterdir())


def test_a_killed_build_leaves_nothing_and_gives_the_same_again(tmp_path: Path) -> None:
    for stage in (fetch, ingest, augment, build):
        run(stage, tmp_path)
    whole = read_hashes(tmp_path)
    kill_at(9, RowWriter, "write_table", lambda: run(build, tmp_path))
    assert read_hashes(tmp_path) != whole, "an unfinished folder lies beside the old one"
    run(build, tmp_path)
    assert read_hashes(tmp_path) == whole
