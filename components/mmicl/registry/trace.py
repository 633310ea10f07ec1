"""From a registered model back to every source file: `mmicl trace`."""

from collections.abc import Mapping
from typing import IO, Any

from rich.console import Console
from rich.markup import escape
from rich.tree import Tree

from mmicl.paths import Paths
from mmicl.tracking import read_lineage

_WIDTH = 1000
"""Columns: a hash is never cut, however narrow the terminal."""


def trace_model(paths: Paths, model: str) -> dict[str, Any]:
    """The lineage that was stored when a model version was registered, as plain values.

    Args:
        paths: The checkout whose registry is asked.
        model: `NAME` (the newest version), `NAME@alias` or `NAME/version`.

    Raises:
        UserError: There is no such version.
    """
    version, lineage = read_lineage(paths, model)
    return {
        "model": {
            "name": version.name,
            "version": version.version,
            "aliases": list(version.aliases),
            "run": version.run_id,
            "champion": version.tags.get("mmicl.champion", ""),
        },
        **lineage,
    }


def print_trace(found: Mapping[str, Any], file: IO[str] | None = None) -> None:
    """Print what `trace_model` found as a tree, to standard output if not to `file`."""
    Console(file=file, width=_WIDTH).print(draw_trace(found), crop=False, highlight=False)


def draw_trace(found: Mapping[str, Any]) -> Tree:
    """The tree behind `print_trace`."""
    model = found["model"]
    aliases = "".join(f" @{alias}" for alias in model["aliases"])
    tree = Tree(f"[bold]{model['name']}[/bold] version {model['version']}{aliases}")
    _add_code(tree, found)
    _add_stages(tree, found)
    for folder, files in found["checkpoint"].items():
        _add_files(tree.add(f"weights of {folder}"), files)
    _add_scores(tree, found)
    _add_files(tree.add("predictions"), found["predictions"])
    _add_build(tree, found["build"])
    _add_bank(tree, found["instruction_bank"])
    datasets = tree.add("datasets")
    for name, dataset in found["datasets"].items():
        _add_dataset(datasets, name, dataset)
    return tree


def _add_code(tree: Tree, found: Mapping[str, Any]) -> None:
    code, lock, pipeline = found["code"], found["dvc_lock"], found["pipeline"]
    branch = tree.add(f"code at git revision {code['revision']}")
    for path in code["dirty"]:
        branch.add(f"[yellow]differs from it:[/yellow] {escape(path)}")
    if code["image"]:
        branch.add(f"container image {code['image']}")
    whole = "" if lock["whole"] else " (before the register stage was written into it)"
    tree.add(f"dvc.lock sha256 {lock['sha256']}{whole}")
    tree.add(f"MLflow pipeline run {pipeline['run']}")
    tree.add(f"Prefect flow run {pipeline['flow_run'] or 'none: it ran without Prefect'}")


def _add_stages(tree: Tree, found: Mapping[str, Any]) -> None:
    branch = tree.add("stages (fingerprint, MLflow run)")
    for name, stage in found["stages"].items():
        node = branch.add(f"{name} {stage['fingerprint']} {stage['run']}")
        if stage["revision"] is None:
            node.add("no record: its outs were restored by DVC, or are the ones being registered")
        elif stage["revision"] != found["code"]["revision"]:
            node.add(f"ran at git revision {stage['revision']}")


def _add_scores(tree: Tree, found: Mapping[str, Any]) -> None:
    branch = tree.add(f"gates {'passed' if found['gates']['passed'] else 'not passed'}")
    for key, gate in found["gates"]["gates"].items():
        branch.add(
            f"{key} {gate['value']:.2f}, lower bound {gate['low']:.2f}, "
            f"{gate['control']} {gate['best_control']:.2f}, margin {gate['margin']:.2f}"
        )
    branch.add(found["model"]["champion"])


def _add_build(tree: Tree, manifest: Mapping[str, Any] | None) -> None:
    branch = tree.add("build manifest")
    _add_values(branch, manifest or {"": "not on disk when the model was registered"})


def _add_bank(tree: Tree, bank: Mapping[str, Any] | None) -> None:
    if bank is None:
        tree.add("instruction bank: not on disk when the model was registered")
        return
    branch = tree.add(f"instruction bank sha256 {bank['sha256']}")
    for template in bank["templates"]:
        reviewed = "reviewed" if template["reviewed"] else "not reviewed"
        branch.add(f"{template['id']} by {template['origin']}, {template['licence']}, {reviewed}")


def _add_dataset(tree: Tree, name: str, dataset: Mapping[str, Any]) -> None:
    branch = tree.add(
        f"[bold]{name}[/bold] {escape(dataset['source'])}, {dataset['licence']}, "
        f"reader {dataset['reader']}"
    )
    if dataset["files"] is None:
        branch.add("source files: not on disk when the model was registered")
        return
    if lender := dataset.get("lender"):  # models of earlier versions have none
        branch.add(f"further pictures: those of {lender}")
    _add_files(branch, {file["path"]: file["sha256"] for file in dataset["files"]})


def _add_files(branch: Tree, files: Mapping[str, str]) -> None:
    for path, digest in files.items():
        branch.add(f"{escape(path)} sha256 {digest}")


def _add_values(branch: Tree, values: Mapping[str, Any]) -> None:
    for key, value in values.items():
        if isinstance(value, Mapping):
            _add_values(branch.add(escape(str(key))), value)
        else:
            branch.add(escape(f"{key} {value}".strip()))
