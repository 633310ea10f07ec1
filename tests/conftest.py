"""Fixtures shared by all tests."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import settings
from ruamel.yaml import YAML

from mmicl.paths import Paths

ROOT = Path(__file__).resolve().parent.parent

if "PYTEST_XDIST_WORKER" in os.environ:  # one of several: torch shall not take all cores for each
    os.environ.setdefault("OMP_NUM_THREADS", "1")

settings.register_profile("mmicl", deadline=None)  # no timer in a test: machines are busy
settings.load_profile("mmicl")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real records and official scores; a test that needs it skips without it."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"no real records at {folder.name}/ beside the checkout")
    return folder


@pytest.fixture
def toy_checkout(tmp_path: Path) -> Paths:
    """A toy checkout of its own for a test; see `build_toy`."""
    return build_toy(tmp_path)


@pytest.fixture(scope="module")
def shared_toy(tmp_path_factory: pytest.TempPathFactory) -> Paths:
    """A toy checkout that the tests of a module use one after the other; see `build_toy`."""
    return build_toy(tmp_path_factory.mktemp("toy"))


def build_toy(folder: Path) -> Paths:
    """A checkout with this package, the engines' real settings, and three stages of a few lines.

    `fetch@coco`, `fetch@vqav2` -> `build` -> `pretrain`. Each calls the function `act` of a file
    acts/<stage>.py that a test writes, if there is one, and copies what it depends on.
    """
    root = folder / "checkout"
    package = root / "components" / "mmicl"
    shutil.copytree(
        ROOT / "components" / "mmicl",
        package,
        ignore=shutil.ignore_patterns("__pycache__", "*.safetensors", "[a-z]*.py.tmp"),
    )
    shutil.copytree(ROOT / "flows", root / "flows", ignore=shutil.ignore_patterns("__pycache__"))
    for name in (".dvc/config", ".dvc/.gitignore", ".dvcignore", ".gitignore", "prefect.toml"):
        (root / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, root / name)
    for stage in (package / "stages").glob("[a-z]*.py"):
        stage.unlink()
    for name, reads in {"fetch": None, "build": "data/raw", "pretrain": "data/mic"}.items():
        (package / "stages" / f"{name}.py").write_text(TOY_STAGE.format(reads=reads))
    (root / "acts").mkdir()
    (root / "dvc.yaml").write_text(TOY_PIPELINE)
    deployments = (ROOT / "prefect.yaml").read_text()
    stages = "parameters: {stages: [fetch, build, pretrain]}"
    (root / "prefect.yaml").write_text(deployments.replace("parameters: {}", stages, 1))
    params = YAML(typ="safe").load(ROOT / "profiles" / "tiny.yaml")
    kept = ("coco", "vqav2")
    params["datasets"] = {name: params["datasets"][name] for name in kept}
    params["build"] |= {"pretrain": {"coco": 9}, "finetune": {"vqav2": 9}}
    params["evaluate"]["benchmarks"] = {"vqav2": {"dataset": "vqav2", "limit": 9, "shots": 0}}
    params["ablation"] |= {"variants": {"full": []}, "claims": []}
    YAML().dump(params, root / "params.yaml")
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "Toy"]):
        identity = ["-c", "user.name=toy", "-c", "user.email=toy@example.org"]
        subprocess.run(["git", *identity, *command], cwd=root, check=True)
    return Paths.here(root)


TOY_STAGE = """
import importlib.util
from pathlib import Path


def run(context):
    out = {{"fetch": context.paths.raw(context.item or ""), "build": context.paths.mic,
           "pretrain": context.paths.pretrained}}[context.stage.partition("@")[0]]
    act = context.paths.root / "acts" / f"{{context.stage}}.py"
    if act.exists():
        spec = importlib.util.spec_from_file_location("act", act)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        module.act(context)
    out.mkdir(parents=True, exist_ok=True)
    reads = {reads!r}
    files = sorted(path for path in Path(reads).rglob("*") if path.is_file()) if reads else []
    (out / "out.txt").write_text(context.stage + "".join(path.read_text() for path in files))
    context.facts["files"] = len(files)
"""

TOY_PIPELINE = """
stages:
  fetch:
    foreach: ${datasets}
    do:
      cmd: python -m mmicl.stages fetch ${key}
      params: ["datasets.${key}"]
      outs: ["data/raw/${key}"]
  build:
    cmd: python -m mmicl.stages build
    params: [seed, build]
    deps: [data/raw]
    outs: [data/mic]
  pretrain:
    cmd: python -m mmicl.stages pretrain
    params: [pretrain]
    deps: [data/mic]
    outs: [models/pretrain]
"""
