"""dvc.yaml, the stage modules, the flow, params.yaml and paths.py describe the same chain."""

import ast
import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from mmicl.benchmarks import find_benchmark
from mmicl.config import Config, check_config, load_config
from mmicl.mic.templates import TASKS
from mmicl.paths import Paths
from mmicl.sources import READERS
from mmicl.workspace import resolve_params

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "components" / "mmicl"
STAGES: dict[str, Any] = YAML(typ="safe").load(ROOT / "dvc.yaml")["stages"]

# Parts that change no result: dvc.yaml's head says why they are no dependencies.
EXEMPT = {
    "__init__.py",
    "config",
    "paths.py",
    "errors.py",
    "files.py",
    "storage.py",
    "lineage.py",
    "supervision.py",
    "processes.py",
    "shortages.py",
    "dvclocks.py",
    "cluster.py",
    "tracking",
    "launch",
    "stages/__init__.py",
    "stages/__main__.py",
}


def body(stage: str) -> dict[str, Any]:
    """A stage's definition, of a group that of its members."""
    return STAGES[stage].get("do", STAGES[stage])


def listed(stage: str, key: str) -> list[str]:
    """The paths under a key of a stage, in a group with `${key}` for the member."""
    return [
        next(iter(item)) if isinstance(item, dict) else item for item in body(stage).get(key, [])
    ]


# --- names ---------------------------------------------------------------------------------------


def test_stages_modules_and_flow_agree_in_name_and_order() -> None:
    from flows.full import STAGES as flow_order

    modules = {path.stem for path in (PACKAGE / "stages").glob("[a-z]*.py")}
    staged = {name for name in modules if has_run(PACKAGE / "stages" / f"{name}.py")}
    assert staged == set(STAGES)
    assert tuple(STAGES) == flow_order


def has_run(path: Path) -> bool:
    return any(
        isinstance(node, ast.FunctionDef) and node.name == "run"
        for node in ast.parse(path.read_text()).body
    )


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_runs_its_own_module(stage: str) -> None:
    member = " ${key}" if "do" in STAGES[stage] else ""
    assert body(stage)["cmd"] == f"sh infra/stage.sh {stage}{member}"
    assert f"components/mmicl/stages/{stage}.py" in listed(stage, "deps")


def test_every_parameter_counts_for_a_stage_except_hardware_and_the_grid() -> None:
    sections = {field.alias or name for name, field in Config.model_fields.items()}
    counted = {key.split(".")[0] for stage in STAGES for key in body(stage)["params"]}
    assert counted == sections - {"launch", "profile", "ablation"}


@pytest.mark.parametrize(
    "profile", sorted((ROOT / "profiles").glob("*.yaml")), ids=lambda p: p.stem
)
def test_every_profile_is_complete(profile: Path) -> None:
    assert load_config(profile).profile == profile.stem


def test_params_is_the_profile_that_it_names() -> None:
    params = load_config(ROOT / "params.yaml")
    assert params == load_config(ROOT / "profiles" / f"{params.profile}.yaml")


@pytest.mark.parametrize(
    "profile", sorted((ROOT / "profiles").glob("*.yaml")), ids=lambda p: p.stem
)
def test_every_grid_can_be_run_and_judged(profile: Path) -> None:
    whole = load_config(profile)
    everywhere = set(whole.evaluate.benchmarks)
    for overrides in whole.ablation.variants.values():
        own = [*whole.ablation.common, *overrides]
        config = check_config(resolve_params(ROOT, profile.stem, own), where="")
        everywhere &= set(config.evaluate.benchmarks)
        for name, asked in config.evaluate.benchmarks.items():
            if asked.shots:  # worked examples come of the training split
                assert TASKS[find_benchmark(name).task].exemplars, name
                reader = READERS[config.datasets[asked.dataset].reader]
                assert "train" in reader.page.records, name
    for claim in whole.ablation.claims:
        for metric in {*claim.metrics, *claim.published}:
            name, _, own_name = metric.partition(".")
            assert name in everywhere
            assert own_name in find_benchmark(name).metrics
        assert set(claim.published) <= set(claim.metrics)


# --- paths ---------------------------------------------------------------------------------------


def test_outs_are_the_paths_of_the_code_and_nobody_elses() -> None:
    paths = Paths(ROOT, ROOT / ".mmicl")
    members = {name: getattr(paths, name)("${key}") for name in ("raw", "examples", "images")}
    single = (
        "bank paraphrases mic validation pretrained features finetuned scores metrics "
        "predictions evaluation export gates"
    )
    known = [*members.values(), *(getattr(paths, name) for name in single.split())]
    known += [paths.passed(stage) for stage in ("pretrain", "finetune")]
    outs = [out for stage in STAGES for key in ("outs", "metrics") for out in listed(stage, key)]
    assert sorted(outs) == sorted(str(path.relative_to(ROOT)) for path in known)
    plots = {out for stage in STAGES for out in listed(stage, "plots")}
    assert plots == {f"reports/curves/{stage}.csv" for stage in ("pretrain", "finetune")}


def test_what_a_stage_reads_is_made_by_a_stage_before_it() -> None:
    made: set[str] = set()
    for stage in STAGES:
        for dep in listed(stage, "deps"):
            if not dep.startswith("components/"):
                dep = dep.replace("${item.pictures}", "raw/${key}")  # or another member's images/
                below = (out.startswith(dep) or dep.startswith(f"{out}/") for out in made)
                assert any(below), f"{stage}: {dep}"
        made |= {out for key in ("outs", "metrics", "plots") for out in listed(stage, key)}


# --- code ----------------------------------------------------------------------------------------


def find_module(name: str) -> Path | None:
    """The file of a module of this package."""
    stem = ROOT.joinpath("components", *name.split("."))
    for path in (stem.with_suffix(".py"), stem / "__init__.py"):
        if path.is_file():
            return path
    return None


def read_imports(nodes: Iterator[ast.AST]) -> Iterator[str]:
    """First-party names that code imports, or starts as a program of its own."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def walk_from_run(tree: ast.Module) -> Iterator[ast.AST]:
    """What a stage's `run` reaches within its module; the rest serves other callers."""
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    for node in tree.body:
        if not isinstance(node, ast.FunctionDef):
            yield from ast.walk(node)
    pending, seen = ["run"], set[str]()
    while pending:
        name = pending.pop()
        if name in seen or name not in functions:
            continue
        seen.add(name)
        for node in ast.walk(functions[name]):
            yield node
            if isinstance(node, ast.Name):
                pending.append(node.id)


def reach(stage: str) -> set[Path]:
    """All files of the package that a stage may run."""
    start = PACKAGE / "stages" / f"{stage}.py"
    pending, seen = [start], set[Path]()
    while pending:
        path = pending.pop()
        if path in seen:
            continue
        seen.add(path)
        tree = ast.parse(path.read_text(encoding="utf-8"))
        nodes = walk_from_run(tree) if path == start else ast.walk(tree)
        for name in read_imports(nodes):
            if name.split(".")[0] != "mmicl":
                continue
            parts = name.split(".")
            # Importing a module runs the packages above it too.
            for depth in range(2, len(parts) + 1):
                found = find_module(".".join(parts[:depth]))
                if found is not None:
                    pending.append(found)
    return {path for path in seen if not is_exempt(path)}


def is_exempt(path: Path) -> bool:
    name = path.relative_to(PACKAGE)
    return str(name) in EXEMPT or name.parts[0] in EXEMPT


@pytest.mark.parametrize("stage", STAGES)
def test_code_dependencies_cover_what_a_stage_imports(stage: str) -> None:
    deps = [ROOT / dep for dep in listed(stage, "deps")]
    missing = {
        str(path.relative_to(ROOT))
        for path in reach(stage)
        if not any(path == dep or dep in path.parents for dep in deps)
    }
    assert not missing, f"{stage} runs code that dvc.yaml does not list: {sorted(missing)}"


@pytest.mark.parametrize("stage", STAGES)
def test_no_code_dependency_is_idle(stage: str) -> None:
    reached = reach(stage)
    for dep in listed(stage, "deps"):
        path = ROOT / dep
        if dep.startswith("components/"):
            assert path.exists(), dep
            assert any(path == file or path in file.parents for file in reached), f"{stage}: {dep}"


# --- deployments ---------------------------------------------------------------------------------


def test_deployments_are_presets_of_the_one_flow() -> None:
    from flows.full import STAGES as flow_order

    *deployments, ablation = YAML(typ="safe").load(ROOT / "prefect.yaml")["deployments"]
    assert ablation["name"] == "paper"
    assert [item["name"] for item in deployments] == ["full", "data", "train", "evaluate"]
    for item in deployments:
        module, _, name = item["entrypoint"].rpartition(".")
        flow = getattr(importlib.import_module(module), name)
        assert flow.name == "mmicl"
        flow.validate_parameters(item["parameters"])
        stages = item["parameters"].get("stages", list(flow_order))
        assert stages == list(flow_order[: len(stages)])
        assert item["work_pool"]["name"] == "mmicl-local"
