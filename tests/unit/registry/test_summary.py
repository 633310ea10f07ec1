"""reports/summary.json has the promised shape, and prints as something a person can use."""

import io
import json
from pathlib import Path
from typing import NamedTuple

import pytest
from rich.console import Console

from mmicl.config import load_config
from mmicl.errors import DataError
from mmicl.files import write_json
from mmicl.paths import Paths
from mmicl.registry.gates import judge
from mmicl.registry.summary import load_summary, print_summary, write_summary
from mmicl.tracking import Registered

ROOT = Path(__file__).resolve().parents[3]


class Brought(NamedTuple):
    name: str
    status: str
    seconds: float


STAGES = [Brought("fetch@coco", "up-to-date", 0.04), Brought("pretrain", "ran", 81.26)]


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    paths = Paths(tmp_path, tmp_path / ".mmicl")
    found = {
        "value": 71.25, "low": 65.0, "high": 77.0, "chance": 50.0,
        "controls": {"majority": 50.5, "blank": 49.5, "shuffled": 51.5},
    }  # fmt: skip
    result = {
        "version": "1", "n": 200, "headline": ["accuracy", "yes_ratio"],
        "metrics": {"accuracy": found, "precision": found, "yes_ratio": found},
    }  # fmt: skip
    scores = {"benchmarks": {"pope": result}}
    write_json(paths.scores, scores)
    write_json(paths.gates, judge(scores, {"pope.accuracy": 20.0}))
    return paths


def write(paths: Paths, registered: Registered) -> None:
    write_summary(paths, load_config(ROOT / "profiles" / "tiny.yaml"), STAGES, registered)


def test_summary_has_the_promised_shape(paths: Paths) -> None:
    write(paths, Registered("mmicl-tiny", 3, ("candidate",), "run", "version 3 is no champion"))
    summary = json.loads(paths.summary.read_text())
    assert summary["profile"] == "tiny"
    assert summary["stages"][1] == {"name": "pretrain", "status": "ran", "seconds": 81.3}
    assert summary["scores"] == [
        {
            "benchmark": "pope", "metric": metric, "value": 71.25, "low": 65.0, "high": 77.0,
            "chance": 50.0, "n": 200,
        }
        for metric in ("accuracy", "precision", "yes_ratio")
    ]  # fmt: skip
    assert summary["model"] == {"name": "mmicl-tiny", "version": 3, "aliases": ["candidate"]}


def test_printed_summary_tells_what_ran_what_came_out_and_what_to_open(paths: Paths) -> None:
    write(paths, Registered("mmicl-tiny", 3, ("candidate",), "run", "version 3 is no champion"))
    stream = io.StringIO()
    print_summary(load_summary(paths), paths, Console(file=stream, width=80))
    lines = stream.getvalue().splitlines()
    words = [" ".join(line.split()) for line in lines]
    assert "fetch@coco up to date 0.0" in words
    assert "pretrain ran 81.3" in words
    assert "total 81.3" in words
    assert "pope accuracy 71.2 [65.0, 77.0] 50.0 50.5 49.5 51.5* +13.5 200" in words
    assert "pope yes_ratio 71.2 [65.0, 77.0] 50.0 50.5 49.5 51.5 - 200" in words
    assert "Model mmicl-tiny version 3, aliases: candidate" in words
    assert any("pope.accuracy: not passed" in line for line in lines)
    assert any(line.lstrip().startswith("Prefect UI") for line in lines)
    assert any(line.lstrip().startswith("MLflow UI") and "make up" in line for line in lines)
    assert not any("precision" in line for line in lines)  # no headline: in the file alone
    assert any((paths.data_docs / "index.html").as_uri() in line for line in lines)


def test_summary_before_a_model_says_so(paths: Paths) -> None:
    paths.scores.unlink()
    write(paths, Registered("mmicl-tiny", None, (), "run"))
    stream = io.StringIO()
    print_summary(load_summary(paths), paths, Console(file=stream, width=80))
    assert "no version is registered" in stream.getvalue()
    assert load_summary(paths)["scores"] == []


def test_stale_scores_are_no_result_of_this_run(paths: Paths) -> None:
    write(paths, Registered("mmicl-tiny", None, (), "run", stale=("evaluate", "register")))
    summary = load_summary(paths)
    assert summary["scores"] == []
    assert summary["gates"] == {}


def test_file_that_is_no_summary_is_named(paths: Paths) -> None:
    write_json(paths.summary, {"profile": "tiny"})
    with pytest.raises(DataError, match=r"summary\.json: no summary of a run"):
        load_summary(paths)
