"""Registering the exported model: one version a fingerprint, and the aliases that it earns."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmicl.errors import UserError
from mmicl.files import read_json
from mmicl.paths import Paths
from mmicl.tracking.chain import StageOnDisk
from mmicl.tracking.champion import Entrant, challenge
from mmicl.tracking.provenance import DOCUMENT
from mmicl.tracking.store import Store, Version, find_version

MODEL_FOLDER = "model"
CANDIDATE, CHAMPION = "candidate", "champion"
_DECISION = "mmicl.champion"
_LINEAGE = "mmicl.lineage"


@dataclass(frozen=True)
class Registered:
    """What `sync` left in the registry; `version` is None while no model was exported."""

    name: str
    version: int | None
    aliases: tuple[str, ...]
    pipeline_run: str
    champion: str = ""
    """Why the version is, or is not, the champion."""
    stale: tuple[str, ...] = ()
    """Stages of dvc.lock whose outs are not those of the present params, data and code."""


def register_version(
    store: Store,
    paths: Paths,
    name: str,
    stage: StageOnDisk,
    run_id: str,
    lineage: Mapping[str, Any],
) -> Version:
    """Make sure that the export of a register stage is a version, with tags and aliases.

    The caller holds the registry's lock. Cut off at any point, the next call goes on from there:
    the version appears with its fingerprint in one transaction, and each later step leaves a tag.

    Args:
        store: MLflow.
        paths: The checkout that holds the export.
        name: The registered model's name.
        stage: The register stage.
        run_id: Its MLflow run, which keeps the artifacts.
        lineage: The document of `provenance.describe`.
    """
    version = _find(store, name, stage.fingerprint)
    run_id = version.run_id if version else run_id
    if version is None or store.artifact(run_id, MODEL_FOLDER) is None:
        for path, folder in (
            (paths.export, MODEL_FOLDER),
            (paths.predictions, "predictions"),
            (paths.scores, None),
            (paths.gates, None),
        ):
            store.log_artifact(run_id, path, folder)
    if version is None:
        tags = {"mmicl.fingerprint": stage.fingerprint}
        number = store.create_version(name, run_id, MODEL_FOLDER, tags)
        version = _reload(store, name, number)
    kept = store.artifact(run_id, DOCUMENT) is not None
    if not kept or version.tags.get(_LINEAGE) != "whole":
        _describe(store, version, lineage)
    if _DECISION not in version.tags:
        _decide(store, version)
    return _reload(store, name, version.version)


def _find(store: Store, name: str, fingerprint: str) -> Version | None:
    """The version of a fingerprint, if there is one."""
    for version in store.versions(name):
        if version.tags.get("mmicl.fingerprint") == fingerprint:
            return version
    return None


def _reload(store: Store, name: str, number: int) -> Version:
    (version,) = (item for item in store.versions(name) if item.version == number)
    return version


def _describe(store: Store, version: Version, lineage: Mapping[str, Any]) -> None:
    """Keep the lineage with the version; again when dvc.lock is whole, since it was not before."""
    text = json.dumps(lineage, indent=2, ensure_ascii=False)
    store.log_text(version.run_id, text + "\n", DOCUMENT)
    gates = lineage["gates"]
    store.tag_version(
        version.name,
        version.version,
        {
            "mmicl.revision": lineage["code"]["revision"],
            "mmicl.dirty": bool(lineage["code"]["dirty"]),
            "mmicl.dvc_lock": lineage["dvc_lock"]["sha256"],
            "mmicl.pipeline_run": lineage["pipeline"]["run"],
            "mmicl.flow_run": lineage["pipeline"].get("flow_run", ""),
            "mmicl.gates": "passed" if gates["passed"] else "failed",
            **{
                f"score.{key}": f"{gate['value']:.2f} (best control {gate['best_control']:.2f})"
                for key, gate in gates["gates"].items()
            },
            _LINEAGE: "whole" if lineage["dvc_lock"]["whole"] else "before dvc.lock was written",
        },
    )


def _decide(store: Store, version: Version) -> None:
    """Give the aliases: `candidate` to the newest, `champion` to one that earns it."""
    newest, *_ = store.versions(version.name)
    if version.version == newest.version:
        store.set_alias(version.name, version.version, CANDIDATE)
    verdict = challenge(_enter(store, version), find_champion(store, version.name))
    if verdict.wins:
        store.set_alias(version.name, version.version, CHAMPION)
    store.describe_version(version.name, version.version, verdict.why)
    store.tag_version(version.name, version.version, {_DECISION: verdict.why})


def find_champion(store: Store, name: str) -> Entrant | None:
    """The champion of a registered model, if there is one."""
    champion = next((one for one in store.versions(name) if CHAMPION in one.aliases), None)
    return None if champion is None else _enter(store, champion)


def _enter(store: Store, version: Version) -> Entrant:
    """What the comparison wants to know of a version, from its own artifacts."""
    gates = store.artifact(version.run_id, "gates.json")
    scores = store.artifact(version.run_id, "scores.json")
    return Entrant(
        name=f"version {version.version}",
        gates=read_json(gates) if gates else None,
        scores=read_json(scores)["benchmarks"] if scores else None,
        predictions=store.artifact(version.run_id, "predictions"),
    )


def model_folder(paths: Paths, model: str) -> Path:
    """The weights, in the hub's layout, of `NAME`, `NAME@alias` or `NAME/version`.

    Raises:
        UserError: There is no such version, or its artifacts were deleted.
    """
    return _artifact(paths, model, MODEL_FOLDER)[1]


def read_lineage(paths: Paths, model: str) -> tuple[Version, dict[str, Any]]:
    """A registered version and the lineage stored with it.

    Raises:
        UserError: As `model_folder`.
    """
    version, path = _artifact(paths, model, DOCUMENT)
    return version, read_json(path)


def _artifact(paths: Paths, model: str, name: str) -> tuple[Version, Path]:
    if not paths.mlflow_database.exists():
        raise UserError("nothing is registered yet", where=model, remedy="run mmicl run")
    store = Store(paths)
    version = find_version(store, model)
    path = store.artifact(version.run_id, name)
    if path is None:
        raise UserError(
            f"its artifact {name} was deleted", where=model, remedy="run mmicl track to restore it"
        )
    return version, path
