"""The benchmark of the data half at scale: it runs, and it judges."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import data_scale
import pytest
from data_scale import judge

from mmicl.files import read_json


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_it_runs_at_a_very_small_size(tmp_path: Path) -> None:
    """In a process of its own: a child's peak begins with its parent's."""
    bench = [sys.executable, data_scale.__file__, "--sizes", "600", "--out", tmp_path / "out.json"]
    done = subprocess.run(bench, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    rows = read_json(tmp_path / "out.json")["rows"]
    assert [row["stage"] for row in rows] == ["fetch", "ingest", "augment", "build", "validate"]
    assert all(row["seconds"] > 0 and 0 < row["peak_gib"] < 2 for row in rows)
    assert rows[1]["images"] > 120
    for stage in ("ingest", "build", "validate"):
        assert f"{stage}: killed after" in done.stdout
    assert done.stdout.count("run again: equal bytes") == 3


def run(stage: str, examples: int, seconds: float, **more: Any) -> dict[str, Any]:
    return {"stage": stage, "examples": examples, "seconds": seconds, "peak_gib": 0.5, **more}


def make_rows(at_most: float, **more: Any) -> list[dict[str, Any]]:
    """Three sizes, of which the largest takes so many seconds in each stage."""
    return [
        run(stage, size, seconds, images=size // 5, **more)
        for size, seconds in ((100, 90.0), (1000, 10.0), (10_000, at_most))
        for stage in ("ingest", "build", "validate")
    ]


def test_time_that_grows_faster_than_the_records_fails() -> None:
    assert judge(make_rows(at_most=140.0)) == []
    failed = judge(make_rows(at_most=160.0))
    assert len(failed) == 3
    assert failed[0] == (
        "ingest: an Example takes 1.60 times as long at 10,000 as at 1,000, more than 1.5"
    )


def test_a_single_size_is_not_held_against_another() -> None:
    assert judge(make_rows(at_most=999.0)[-3:]) == []


def test_memory_and_pictures_are_judged() -> None:
    assert judge([run("build", 10, 1.0) | {"peak_gib": 2.5}]) == ["build of 10: 2.50 GiB"]
    assert judge([run("ingest", 1_000_000, 1.0, images=100_001)]) == []
    assert judge([run("ingest", 1_000_000, 1.0, images=100_000)]) == [
        "100000 distinct pictures of 1000000 Examples"
    ]
