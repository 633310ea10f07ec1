"""A checkout in which every stage seems to have run: real files, real dvc.lock, no training."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image
from ruamel.yaml import YAML

from mmicl.config import Config, load_config
from mmicl.files import write_json, write_text
from mmicl.images.store import ImageWriter
from mmicl.lineage import code_state, fingerprint, read_lock
from mmicl.mic.builder import PARTS
from mmicl.paths import Paths
from mmicl.registry.gates import judge

ROOT = Path(__file__).resolve().parents[2]
DATASETS = ("coco", "vqav2", "pope")
ITEMS = 40


def fabricate(root: Path) -> Paths:
    """A checkout with its own git and DVC repository and a miniature of every out."""
    root.mkdir(parents=True)
    for name in ("dvc.yaml", "params.yaml", ".dvcignore", ".gitignore"):
        shutil.copy2(ROOT / name, root / name)
    _write_code(root)
    paths = Paths(root, root / ".mmicl")
    set_params(paths, seed=1, finetune__learning_rate=1e-3)
    for command in (
        ["git", "init", "--quiet"],
        [str(Path(sys.executable).parent / "dvc"), "init", "--quiet"],
        ["git", "add", "-A"],
        ["git", *_IDENTITY, "commit", "--quiet", "-m", "A checkout"],
    ):
        run(root, *command)
    write_outs(paths, right=30)
    lock(paths)
    return paths


def set_params(paths: Paths, **changes: Any) -> Config:
    """Change params.yaml (dots as `__`), keep three small datasets, and return the config."""
    path = paths.root / "params.yaml"
    yaml = YAML()
    value = yaml.load(path)
    value["datasets"] = {name: value["datasets"][name] for name in DATASETS}
    value["build"]["finetune"] = {"coco": 10, "vqav2": 20}
    benchmarks = value["evaluate"]["benchmarks"]
    value["evaluate"]["benchmarks"] = {name: benchmarks[name] for name in ("vqav2", "pope")}
    value["register"]["margins"] = {"vqav2.accuracy": 5.0, "pope.accuracy": 5.0}
    for key, new in changes.items():
        *sections, last = key.split("__")
        place = value
        for section in sections:
            place = place[section]
        place[last] = new
    yaml.dump(value, path)
    return load_config(path)


def write_outs(paths: Paths, right: int) -> None:
    """Write every out; `right` of the ITEMS answers of each benchmark are right."""
    keys = _write_data(paths)
    _write_models(paths, right)
    _write_scores(paths, right, keys)
    config = load_config(paths.root / "params.yaml")
    write_json(paths.gates, judge(json.loads(paths.scores.read_text()), config.register_.margins))
    paths.export.mkdir(parents=True, exist_ok=True)
    write_text(paths.export / "config.json", "{}\n")
    write_text(paths.export / "README.md", f"# a model with {right} right\n")


def lock(paths: Paths, *stages: str) -> None:
    """Let DVC take the outs on disk as those of the present params, and leave stage records."""
    dvc = str(Path(sys.executable).parent / "dvc")
    run(paths.root, dvc, "commit", "--force", "--quiet", *stages)
    for stage in stages or read_lock(paths):
        mark = fingerprint(paths, stage)
        write_json(
            paths.run(stage, mark) / "record.json",
            {
                "stage": stage,
                "fingerprint": mark,
                "started": datetime(2026, 1, 1, tzinfo=UTC).isoformat(),
                "seconds": 12.5,
                "facts": {"rows": 3, "kept": {"train": 2}, "device": "cpu"},
                "code": code_state(paths.root),
            },
        )
        if stage in ("pretrain", "finetune"):
            curve = paths.root / "reports" / "curves" / f"{stage}.csv"
            shutil.copy2(curve, paths.run(stage, mark) / "curve.csv")


def run(root: Path, *command: str) -> str:
    """Run a command in the checkout."""
    result = subprocess.run(
        command,
        cwd=root,
        capture_output=True,
        text=True,
        env={**os.environ, "DVC_NO_ANALYTICS": "1"},
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def _write_data(paths: Paths) -> list[str]:
    """Sources, pictures, tables and the bank; returns the pictures' keys."""
    keys: list[str] = []
    for place, name in enumerate(DATASETS):
        raw = paths.raw(name)
        files = []
        for index in range(4):
            picture = raw / "images" / f"{index}.png"
            picture.parent.mkdir(parents=True, exist_ok=True)
            colour = (60 * index, 80 * place, 120)
            Image.new("RGB", (32, 24), colour).save(picture)
            digest = hashlib.sha256(picture.read_bytes()).hexdigest()
            entry = {"path": f"images/{index}.png", "size": picture.stat().st_size}
            files.append({**entry, "sha256": digest})
        manifest = {"source": f"world://{name}", "origin": "world", "licence": "CC0-1.0"}
        write_json(raw / "manifest.json", {**manifest, "files": files})
        shutil.rmtree(paths.images(name), ignore_errors=True)
        with ImageWriter(paths.images(name)) as writer:
            keys += [writer.add_file(raw / file["path"]) for file in files]
        write_json(paths.examples(name) / "manifest.json", {"dataset": name, "examples": 4})
    template = {
        "id": "vqa/0", "task": "vqa", "text": "{images} {question}", "origin": "hand-written",
        "licence": "Apache-2.0", "reviewed": True,
    }  # fmt: skip
    write_text(paths.bank, json.dumps(template) + "\n")
    write_json(paths.paraphrases, {"asked": 0})
    write_json(paths.mic / "manifest.json", {"samples": {"pretrain": 4, "finetune": 8}})
    for part in PARTS:
        write_text(paths.mic / f"{part}.parquet", f"stands for the samples of {part}\n")
    for stage in ("pretrain", "finetune"):
        write_json(paths.passed(stage), {stage: "0" * 64})
    write_json(paths.validation, {"passed": True})
    write_text(paths.data_docs / "index.html", "<h1>Data Docs</h1>\n")
    write_json(paths.features, {"images": 12})
    return keys


def _write_models(paths: Paths, right: int) -> None:
    for stage, folder in (("pretrain", paths.pretrained), ("finetune", paths.finetuned)):
        write_json(folder / "trained.json", {"right": right})
        rows = [f"{step},{3 - step / 20:.3f},{1e-3 * step:.4f},0.25" for step in range(1, 21)]
        head = "step,loss,learning_rate,padding_share"
        write_text(
            paths.root / "reports" / "curves" / f"{stage}.csv", "\n".join([head, *rows]) + "\n"
        )


def _write_scores(paths: Paths, right: int, keys: list[str]) -> None:
    """reports/scores.json and reports/predictions in the layout of `mmicl.benchmarks.runner`."""
    scores, items = {}, []
    folder = paths.predictions
    folder.mkdir(parents=True, exist_ok=True)
    for benchmark in ("vqav2", "pope"):
        rows = []
        for index in range(ITEMS):
            item, target = f"{benchmark}/test/{index}", "yes" if index % 2 else "no"
            group = f"image-{index // 2}"
            question = f"image 0 is <image0>图. Question: what is in picture {index}? Answer:"
            own = {
                "id": f"{benchmark}/{item}", "benchmark": benchmark, "item": item, "group": group,
                "kind": "generate", "images": [keys[index % len(keys)]], "prompt": question,
                "candidates": [], "target": target, "meta": "{}", "scores": [],
            }  # fmt: skip
            rows.append({**own, "control": "", "text": target if index < right else "cube"})
            rows.append({**own, "control": "blank", "images": ["blank"], "text": "no"})
            value = 100.0 * (index < right)
            items.append(
                {"benchmark": benchmark, "metric": "accuracy", "item": item, "group": group,
                 "value": value}
            )  # fmt: skip
        pq.write_table(pa.Table.from_pylist(rows), folder / f"{benchmark}.parquet")
        value = 100 * right / ITEMS
        scores[benchmark] = {
            "version": "v1",
            "n": ITEMS,
            "headline": ["accuracy"],
            "metrics": {
                "accuracy": {
                    "value": value, "low": value - 10, "high": value + 10, "chance": 50.0,
                    "controls": {"majority": 52.0, "blank": 50.0, "shuffled": 51.0},
                },
            },
        }  # fmt: skip
    pq.write_table(pa.Table.from_pylist(items), folder / "items.parquet")
    write_json(paths.scores, {"benchmarks": scores})
    write_text(paths.evaluation, f"<h1>{right} right</h1>\n<!-- champion -->\n")
    headlines = {
        name: {"accuracy": one["metrics"]["accuracy"]["value"]} for name, one in scores.items()
    }
    write_json(paths.metrics, headlines)


def _write_code(root: Path) -> None:
    """A placeholder for each code dependency of dvc.yaml: DVC hashes it, nothing runs it."""
    stages = YAML(typ="safe").load(root / "dvc.yaml")["stages"].values()
    deps = {dep for stage in stages for dep in stage.get("do", stage)["deps"]}
    for dep in sorted(dep for dep in deps if dep.startswith("components/")):
        path = root / dep if dep.endswith(".py") else root / dep / "__init__.py"
        write_text(path, "# stands for the code\n")


_IDENTITY = ("-c", "user.name=test", "-c", "user.email=test@example.org")
