"""The flow mmicl-ablation: a workspace a variant, shared stages run once, MLflow and a report."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from ruamel.yaml import YAML

from mmicl.paths import Paths

pytestmark = [pytest.mark.alone, pytest.mark.timeout(900)]

# Scores by a formula of the params: `short` is worse on every item, and more so under seed 2.
EVALUATE = """
import json
import pyarrow as pa
import pyarrow.parquet as pq
from mmicl.config import load_config


def run(context):
    config = load_config(context.paths.root / "params.yaml")
    value = 10.0 * config.pretrain.steps + config.seed
    context.paths.predictions.mkdir(parents=True)
    table = {"benchmark": ["vqav2"] * 20, "metric": ["accuracy"] * 20,
             "item": [f"item {n}" for n in range(20)], "group": [f"group {n}" for n in range(20)],
             "value": [value] * 20}
    pq.write_table(pa.table(table), context.paths.predictions / "items.parquet")
    answers = {"item": table["item"], "images": [[]] * 20, "prompt": ["?"] * 20,
               "target": ["a"] * 20, "text": ["a"] * 20, "control": [""] * 20}
    pq.write_table(pa.table(answers), context.paths.predictions / "vqav2.parquet")
    score = {"value": value, "low": value, "high": value, "chance": None, "controls": {}}
    context.paths.scores.write_text(json.dumps({"benchmarks": {"vqav2": {
        "version": "toy", "n": 20, "headline": ["accuracy"], "metrics": {"accuracy": score}}}}))
"""
STAGE = {
    "cmd": "python -m mmicl.stages evaluate",
    "params": ["seed", "pretrain.steps"],
    "deps": ["models/pretrain"],
    "outs": ["reports/scores.json", "reports/predictions"],
}


# Both variants wait in it; with `fail` there, the first that looks ends with an error of the data.
WAIT = """
import os
import time
from pathlib import Path

from mmicl.errors import DataError


def act(context):
    at_work = Path("{at_work}")
    (at_work / str(os.getpid())).touch()
    while True:
        time.sleep(0.1)
        try:
            (at_work / "fail").rename(at_work / "failed")
        except FileNotFoundError:
            continue
        raise DataError("the picture is torn")
"""


@pytest.fixture
def toy(toy_checkout: Paths) -> Paths:
    root, yaml = toy_checkout.root, YAML()
    (root / "components" / "mmicl" / "stages" / "evaluate.py").write_text(EVALUATE)
    pipeline = yaml.load(root / "dvc.yaml")
    pipeline["stages"]["evaluate"] = STAGE
    yaml.dump(pipeline, root / "dvc.yaml")
    params = yaml.load(root / "params.yaml")
    params["pretrain"]["steps"] = 5
    params["ablation"] = {
        "seeds": [1, 2],
        "common": ["pretrain.learning_rate=0.25"],
        "variants": {"full": [], "short": ["pretrain.steps=2"]},
        "claims": [
            {"text": "Longer is better.", "better": "full", "worse": "short",
             "metrics": ["vqav2.accuracy"]},
        ],
    }  # fmt: skip
    yaml.dump(params, root / "params.yaml")
    return toy_checkout


def ablate(paths: Paths, *options: str) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "PYTHONPATH": str(paths.root / "components")}
    return subprocess.run(
        [sys.executable, "-m", "flows.local", "ablation", *options],
        cwd=paths.root, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_every_variant_is_measured_and_every_claim_judged(toy: Paths) -> None:
    before = (toy.root / "params.yaml").read_text()
    first = ablate(toy, "--seed", "1")
    assert first.returncode == 0, first.stdout + first.stderr
    whole = ablate(toy)
    assert whole.returncode == 0, whole.stdout + whole.stderr
    # What the first call did is not done again, and what variants share is done once.
    assert first.stdout.count("fetch@coco: ran") == 1
    assert whole.stdout.count("fetch@coco: ran") == 0
    assert whole.stdout.count("evaluate: ran") == 2
    told = json.loads((toy.ablation / "ablation.json").read_text())
    assert len(told["runs"]) == 4
    (finding,) = told["findings"]
    assert finding["verdict"] == "holds"
    assert finding["by_seed"] == {"1": 30.0, "2": 30.0}
    assert told["differences"] == [
        {"variant": "short", "metric": "vqav2.accuracy", "items": 20,
         "by_seed": {"1": -30.0, "2": -30.0},
         "difference": {"low": -30.0, "mean": -30.0, "high": -30.0}}
    ]  # fmt: skip
    for variant in toy.state.glob("workspaces/*/params.yaml"):
        assert "learning_rate: 0.25" in variant.read_text()
    assert "4 of 4 runs" in (toy.ablation / "index.html").read_text()
    assert (toy.root / "params.yaml").read_text() == before
    assert not (toy.root / "dvc.lock").exists()
    check_mlflow(toy)


def wait_for_two(paths: Paths, process: "subprocess.Popen[str]") -> None:
    """Until stages of two variants are at work side by side."""
    end = time.monotonic() + 120
    while len(list((paths.root / "acts" / "at-work").glob("*"))) < 2:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end, "never side by side"
        time.sleep(0.1)


def works_in(paths: Paths) -> list[str]:
    """Command lines of processes that work in the checkout or its workspaces."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if Path(process.cwd()).is_relative_to(paths.root):
                found.append(" ".join(process.cmdline()))
    return found


def test_what_is_at_work_side_by_side_ends_together(toy: Paths) -> None:
    at_work = toy.root / "acts" / "at-work"
    (toy.root / "acts" / "pretrain.py").write_text(WAIT.format(at_work=str(at_work)))
    command = [sys.executable, "-m", "flows.local", "ablation", "--seed", "1"]
    for end, code in (("interrupt", 130), ("failure", 2)):
        at_work.mkdir()
        process = subprocess.Popen(
            command, cwd=toy.root, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONPATH": str(toy.root / "components")},
        )  # fmt: skip
        wait_for_two(toy, process)
        if end == "interrupt":
            process.send_signal(signal.SIGINT)
        else:
            (at_work / "fail").touch()
        out, _ = process.communicate(timeout=120)
        assert process.returncode == code, out
        assert (end == "failure") == ("the picture is torn" in out)
        assert works_in(toy) == []
        shutil.rmtree(at_work)
    (toy.root / "acts" / "pretrain.py").unlink()
    again = ablate(toy, "--seed", "1")
    assert again.returncode == 0, again.stdout + again.stderr
    assert len(json.loads((toy.ablation / "ablation.json").read_text())["runs"]) == 2


def check_mlflow(paths: Paths) -> None:
    """The newest ablation's run holds the four variants, with their scores, and the report."""
    from mmicl.tracking.store import PARENT_TAG, Store

    store = Store(paths)
    newest, *older = store.find({"mmicl.kind": "ablation"})
    assert [run.info.status for run in (newest, *older)] == ["FINISHED", "FINISHED"]
    children = store.find({PARENT_TAG: newest.info.run_id})
    found = {
        (run.data.tags["mmicl.variant"], run.data.tags["mmicl.seed"]): run.data.metrics
        for run in children
    }
    assert {key: metrics["vqav2.accuracy"] for key, metrics in found.items()} == {
        ("full", "1"): 51.0,
        ("full", "2"): 52.0,
        ("short", "1"): 21.0,
        ("short", "2"): 22.0,
    }
    page = store.artifact(newest.info.run_id, "ablation/index.html")
    assert page is not None
    assert Path(page).is_file()
