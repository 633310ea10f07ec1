"""The build stage counts tokens by the model's own tokenizer, and else needs no model."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML
from stage_runs import run_stages

from mmicl.config import read_params
from mmicl.files import read_json, read_rows
from mmicl.model.loading import load_processor
from mmicl.paths import Paths
from mmicl.records import Sample

ROOT = Path(__file__).resolve().parents[3]
SOURCE = "world://vqav2?n=30&seed=2&test=6"
BUILD_ALONE = """
import sys
from pathlib import Path
from mmicl.config import load_config
from mmicl.paths import Paths
from mmicl.stages import StageContext, build
root = Path(sys.argv[1])
config = load_config(root / "params.yaml")
build.run(StageContext("build", None, config, Paths(root, root / ".mmicl"), "0"))
print("torch" in sys.modules, any(name.startswith("mmicl.model") for name in sys.modules))
"""


def make_params(max_tokens: int | None, **changes: Any) -> dict[str, Any]:
    params = read_params(ROOT / "profiles" / "tiny.yaml")
    dataset = params["datasets"]["vqav2"] | {"source": SOURCE, "pictures": "raw/vqav2"}
    params["datasets"] = {"vqav2": dataset}
    params["evaluate"]["benchmarks"] = {}
    params["build"] |= {"pretrain": {}, "finetune": {"vqav2": 60}, "max_exemplars": 4}
    params["build"] |= {"max_tokens": max_tokens, "validation": 4}
    return params | changes


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> Paths:
    root = tmp_path_factory.mktemp("checkout")
    paths = Paths(root, root / ".mmicl")
    run_stages(paths, make_params(None), "fetch@vqav2", "ingest@vqav2", "augment")
    return paths


def build(paths: Paths, params: dict[str, Any]) -> tuple[list[Sample], dict[str, Any]]:
    run_stages(paths, params, "build")
    rows = read_rows(paths.mic / "finetune.parquet", Sample)
    told = read_json(paths.mic / "manifest.json")["parts"]["finetune"]["datasets"]["vqav2"]
    return rows, told


def test_prompts_keep_to_the_tokens_that_the_model_will_see(paths: Paths) -> None:
    count = load_processor("builtin:tiny").count
    whole, before = build(paths, make_params(None))
    alone = sorted(count(row.prompt) for row in whole if not row.exemplars)
    longest = max(count(row.prompt) for row in whole)
    room = alone[len(alone) // 2]  # half of the queries are longer by themselves
    tight, after = build(paths, make_params(room))
    assert max(count(row.prompt) for row in tight) <= room < longest
    assert before["dropped"] == {}
    assert after["dropped"]["more tokens than max_tokens"] > 0
    assert after["candidates"] == sum(after["dropped"].values()) + after["taken"]
    roomy, same = build(paths, make_params(longest))
    assert (roomy, same) == (whole, before)


def test_a_build_without_a_budget_of_tokens_loads_no_model(paths: Paths) -> None:
    YAML().dump(make_params(None), paths.root / "params.yaml")
    command = [sys.executable, "-c", BUILD_ALONE, str(paths.root)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.split()[-2:] == ["False", "False"]
