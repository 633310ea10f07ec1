"""The whole chain, every engine real: what `make run` leaves, and what a rerun costs."""

import json
import shutil
import sqlite3
from pathlib import Path

import pytest
from checkouts import run_in

pytestmark = [pytest.mark.alone, pytest.mark.timeout(1800)]

STAGES = [
    "fetch", "ingest", "augment", "build", "validate",
    "pretrain", "features", "finetune", "evaluate", "register",
]  # fmt: skip


def test_summary_has_stages_scores_and_the_model(chain: Path) -> None:
    summary = json.loads((chain / "reports" / "summary.json").read_text())
    assert summary["profile"] == "tiny"
    assert [stage["name"].partition("@")[0] for stage in summary["stages"]] == sorted(
        (stage["name"].partition("@")[0] for stage in summary["stages"]), key=STAGES.index
    )
    assert {stage["status"] for stage in summary["stages"]} == {"ran"}
    assert len({score["benchmark"] for score in summary["scores"]}) >= 5
    for score in summary["scores"]:
        assert score["low"] <= score["value"] <= score["high"], score
        assert score["n"] > 0
    assert summary["model"]["name"] == "mmicl-tiny"
    assert "candidate" in summary["model"]["aliases"]


def test_dvc_has_nothing_left_to_do(chain: Path) -> None:
    assert "up to date" in run_in(chain, "dvc", "status").stdout
    repro = run_in(chain, "dvc", "repro")
    assert repro.returncode == 0
    assert "Running stage" not in repro.stdout


def test_second_run_starts_no_server_and_prints_the_summary(chain: Path) -> None:
    before = (chain / "reports" / "summary.json").read_bytes()
    result = run_in(chain, "mmicl", "run")
    assert result.returncode == 0
    assert "up to date" in result.stdout
    assert "mmicl-tiny" in result.stdout
    assert (chain / "reports" / "summary.json").read_bytes() == before


def test_deleting_one_output_rebuilds_just_that(chain: Path) -> None:
    lock = (chain / "dvc.lock").read_bytes()
    shutil.rmtree(chain / "data" / "examples" / "nlvr2")
    # Without the run cache and the object cache this must be computed again.
    result = run_in(chain, "dvc", "repro", "--no-run-cache")
    assert result.returncode == 0, result.stderr
    assert (chain / "data" / "examples" / "nlvr2" / "examples.parquet").is_file()
    assert "pretrain" not in result.stdout.replace("Stage 'pretrain' didn't change", "")
    assert (chain / "dvc.lock").read_bytes() == lock


def test_scores_survive_the_loss_of_the_tracking_database(chain: Path) -> None:
    shutil.rmtree(chain / ".mmicl" / "mlflow")
    result = run_in(chain, "mmicl", "track")
    assert result.returncode == 0, result.stderr
    again = run_in(chain, "mmicl", "track")
    assert again.stdout == result.stdout
    with sqlite3.connect(chain / ".mmicl" / "mlflow" / "mlflow.db") as database:
        versions = database.execute("select count(*) from model_versions").fetchone()[0]
        metrics = database.execute("select count(*) from metrics").fetchone()[0]
    assert versions == 1
    assert metrics > 50


def test_trace_walks_back_to_every_source_file(chain: Path) -> None:
    result = run_in(chain, "mmicl", "trace", "mmicl-tiny@candidate", "--json")
    assert result.returncode == 0, result.stderr
    for manifest in chain.glob("data/raw/*/manifest.json"):
        for file in json.loads(manifest.read_text())["files"]:
            assert file["sha256"] in result.stdout, file


def test_predict_answers_about_pictures(chain: Path) -> None:
    pictures = sorted((chain / "data" / "raw" / "coco").rglob("*.jpg"))[:2]
    images = [part for path in pictures for part in ("--image", str(path))]
    prompt = "image 0 is <image0>. image 1 is <image1>. Question: what is in image 1? Answer:"
    result = run_in(chain, "mmicl", "predict", "mmicl-tiny@candidate", *images, prompt)
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip()


def test_predict_refuses_a_prompt_that_does_not_fit_its_pictures(chain: Path) -> None:
    picture = next((chain / "data" / "raw" / "coco").rglob("*.jpg"))
    result = run_in(
        chain, "mmicl", "predict", "mmicl-tiny@candidate",
        "--image", str(picture), "image 0 is <image0>. image 1 is <image1>. Which?",
    )  # fmt: skip
    assert result.returncode == 2
    assert len(result.stderr.strip().splitlines()) == 1
    assert "image" in result.stderr
