"""The chain from a model back to every source file, as one JSON document.

It is stored with the model version when that is registered, so that it still tells the truth when
the checkout has moved on. It holds what was true of the files, not where they lay on this machine.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmicl.config import Config
from mmicl.files import hash_file, read_json
from mmicl.lineage import code_state
from mmicl.paths import Paths
from mmicl.records import Template
from mmicl.tracking.chain import Chain, dump_params

DOCUMENT = "lineage.json"
IMAGE_VARIABLE = "MMICL_IMAGE"
"""Environment variable with the digest of the container image, where there is one."""


def describe(
    paths: Paths,
    config: Config,
    chain: Chain,
    run_ids: Mapping[str, str],
    pipeline: Mapping[str, str],
) -> dict[str, Any]:
    """Gather the lineage of the checkout's registered model.

    Args:
        paths: The checkout.
        config: Its params.
        chain: Its current stages.
        run_ids: Stage -> id of the MLflow run that made its outs.
        pipeline: Tags of the pipeline run (`run`, `flow_run`).
    """
    return {
        "code": _describe_code(paths, chain),
        "dvc_lock": _describe_lock(paths, chain),
        "pipeline": dict(pipeline),
        "params": dump_params(config),
        "stages": {
            name: {
                "fingerprint": stage.fingerprint,
                "run": run_ids.get(name, ""),
                "revision": (stage.record or {}).get("code", {}).get("revision"),
                "outs": stage.outs,
            }
            for name, stage in chain.stages.items()
        },
        "checkpoint": {
            path.name: _hash_folder(path) for path in (paths.pretrained, paths.finetuned)
        },
        "datasets": {name: _describe_dataset(paths, name, config) for name in config.datasets},
        "build": _read(paths.mic / "manifest.json"),
        "instruction_bank": _describe_bank(paths),
        "predictions": _hash_folder(paths.predictions),
        "scores": _read(paths.scores),
        "gates": _read(paths.gates),
    }


def _describe_code(paths: Paths, chain: Chain) -> dict[str, Any]:
    """The code that ran the register stage where its record tells, else the checkout's present."""
    register = chain.stages.get("register")
    if register is not None and register.record is not None:
        state = dict(register.record["code"])
    else:
        state = code_state(paths.root)
    return {**state, "image": os.environ.get(IMAGE_VARIABLE)}


def _describe_lock(paths: Paths, chain: Chain) -> dict[str, Any]:
    """The hash of dvc.lock, and whether it has the register stage yet (not while that runs)."""
    register = chain.stages.get("register")
    return {
        "sha256": hash_file(paths.root / "dvc.lock"),
        "whole": register is not None and bool(register.entry),
    }


def _describe_dataset(paths: Paths, name: str, config: Config) -> dict[str, Any]:
    """Source, licence, reader and every source file of a dataset."""
    manifest = _read(paths.raw(name) / "manifest.json") or {}
    return {
        "source": config.datasets[name].source,
        "reader": config.datasets[name].reader,
        "licence": manifest.get("licence", config.datasets[name].licence),
        "files": manifest.get("files"),
        "lender": config.datasets[name].lender,
        "ingested": _read(paths.examples(name) / "manifest.json"),
    }


def _describe_bank(paths: Paths) -> dict[str, Any] | None:
    """Every template of the instruction bank with who wrote it."""
    if not paths.bank.exists():
        return None
    lines = paths.bank.read_text(encoding="utf-8").splitlines()
    templates = [Template.model_validate_json(line) for line in lines if line]
    return {
        "sha256": hash_file(paths.bank),
        "templates": [template.model_dump() for template in templates],
    }


def _hash_folder(folder: Path) -> dict[str, str]:
    """Relative path -> sha256 of every file below a folder; empty where there is none."""
    return {
        path.relative_to(folder).as_posix(): hash_file(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def _read(path: Path) -> Any:
    """A JSON file, or None where it was not restored."""
    return read_json(path) if path.exists() else None
