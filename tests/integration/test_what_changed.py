"""DVC runs again what changed, and nothing else."""

from pathlib import Path

import pytest
from checkouts import copy_checkout, run_in
from ruamel.yaml import YAML

from mmicl.lineage import fingerprints
from mmicl.paths import Paths

pytestmark = pytest.mark.slow

STAGES = ("fetch@nlvr2", "fetch@pope", "ingest@nlvr2", "ingest@pope")


def edit(checkout: Path, pope_seed: int) -> None:
    """Let the checkout have two small datasets."""
    yaml, path = YAML(), checkout / "params.yaml"
    params = yaml.load(path)
    params["datasets"] = {name: params["datasets"][name] for name in ("nlvr2", "pope")}
    params["datasets"]["nlvr2"]["source"] = "world://nlvr2?n=16&seed=1"
    params["datasets"]["pope"]["source"] = f"world://pope?n=12&seed={pope_seed}"
    params["build"] |= {"pretrain": {}, "finetune": {"nlvr2": 16}}
    params["evaluate"]["benchmarks"] = {}
    params["register"]["margins"] = {}
    params["ablation"] |= {"variants": {"full": []}, "claims": []}
    yaml.dump(params, path)


def ingest(checkout: Path) -> dict[str, str]:
    """Bring both datasets up to date; how each stage ended, as it is told."""
    ended = {}
    for group in ("fetch", "ingest"):
        done = run_in(checkout, "mmicl", "stage", group)
        assert done.returncode == 0, done.stdout + done.stderr
        told = (line.partition(": ") for line in done.stdout.splitlines())
        ended |= {name: how.partition(" in ")[0] for name, _, how in told if name in STAGES}
    return ended


def test_after_one_dataset_changed_that_one_alone_is_ingested(tmp_path: Path) -> None:
    checkout = copy_checkout(tmp_path / "checkout")
    edit(checkout, pope_seed=1)
    assert ingest(checkout) == dict.fromkeys(STAGES, "ran")
    tables = [checkout / "data" / "examples" / name for name in ("nlvr2", "pope")]
    was = [[(p.name, p.read_bytes()) for p in sorted(table.iterdir())] for table in tables]
    assert ingest(checkout) == dict.fromkeys(STAGES, "up to date")
    edit(checkout, pope_seed=2)
    assert ingest(checkout) == {
        "fetch@nlvr2": "up to date", "ingest@nlvr2": "up to date",
        "fetch@pope": "ran", "ingest@pope": "ran",
    }  # fmt: skip
    now = [[(p.name, p.read_bytes()) for p in sorted(table.iterdir())] for table in tables]
    assert now[0] == was[0]
    assert now[1] != was[1]


def ask(checkout: Path, pairs: int, samples: int) -> dict[str, object]:
    """Build so many samples of two small datasets; the fingerprints of what trains on them."""
    yaml, path = YAML(), checkout / "params.yaml"
    params = yaml.load(path)
    params["datasets"] = {name: params["datasets"][name] for name in ("coco", "nlvr2")}
    params["datasets"]["coco"]["source"] = "world://coco?n=64&seed=1&test=8"
    params["datasets"]["nlvr2"]["source"] = "world://nlvr2?n=64&seed=1"
    params["build"] |= {"pretrain": {"coco": pairs}, "finetune": {"nlvr2": samples}}
    params["validate"]["min_samples"] = 1
    params["evaluate"]["benchmarks"] = {}
    params["register"]["margins"] = {}
    params["ablation"] |= {"variants": {"full": []}, "claims": []}
    yaml.dump(params, path)
    done = run_in(checkout, "dvc", "repro", "validate")
    assert done.returncode == 0, done.stdout + done.stderr
    # What the trainings before them would have left.
    for place in ("models/pretrain/trained.safetensors", "data/features.json"):
        (checkout / place).parent.mkdir(parents=True, exist_ok=True)
        (checkout / place).write_text("stands for it")
    return dict(fingerprints(Paths.here(checkout), ["pretrain", "features", "finetune"]))


def test_other_samples_of_stage_two_do_not_train_stage_one_anew(tmp_path: Path) -> None:
    checkout = copy_checkout(tmp_path / "checkout")
    first = ask(checkout, pairs=40, samples=40)
    assert all(isinstance(one, str) for one in first.values()), first
    second = ask(checkout, pairs=40, samples=36)
    assert {name for name in first if first[name] != second[name]} == {"features", "finetune"}
    third = ask(checkout, pairs=36, samples=36)
    # that its weights are others follows when it has run
    assert {name for name in first if second[name] != third[name]} == {"pretrain"}
