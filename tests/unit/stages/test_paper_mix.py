"""The full-size profiles train on the paper's 16 datasets, and each gets through to samples."""

import importlib
import math
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from paper_files import N, write_official_files

from mmicl.config import Quota, check_config, load_config, read_params
from mmicl.files import read_json, read_rows
from mmicl.paths import Paths
from mmicl.records import Sample
from mmicl.sources import READERS
from mmicl.stages import StageContext

PROFILES = Path(__file__).resolve().parents[3] / "profiles"
FULL_SIZE = ("flan-t5-xl", "flan-t5-xxl", "instruct-flan-t5-xl", "instruct-flan-t5-xxl")
# HaozheZhao/MIC 531ab76, data_preprocess.py:503, without the 15,000 of IconQA.
QUOTAS = {
    "vqav2": 70_000, "gqa": 70_000, "okvqa": 9_000, "nlvr2": 20_000, "coco": 60_000,
    "flickr30k": 40_000, "vcr": 118_000, "stvqa": 30_000, "refcoco": 60_000,
    "mini_imagenet": 15_000, "wikiart": 8_000, "llava": 150_000, "textvqa": 25_000,
    "diffusiondb": 15_000, "msrvtt": 25_000, "msrvtt_qa": 50_000,
}  # fmt: skip
PAIRS = {"coco", "visual_genome", "cc3m", "cc12m", "sbu", "laion400m"}


@pytest.mark.parametrize("profile", FULL_SIZE)
def test_a_full_size_profile_has_the_papers_mix(profile: str) -> None:
    config = load_config(PROFILES / f"{profile}.yaml")
    assert config.build.finetune == QUOTAS
    assert len(QUOTAS) == 16
    assert sum(QUOTAS.values()) == 780_000 - 15_000
    readers = {name: READERS[dataset.reader] for name, dataset in config.datasets.items()}
    assert all("train" in readers[name].page.use for name in QUOTAS)
    assert set(config.build.pretrain) == PAIRS
    assert all("stage I" in readers[name].page.use for name in PAIRS)
    batch = config.finetune.global_batch
    assert config.finetune.steps == math.ceil(3 * sum(QUOTAS.values()) / batch)
    pairs = sum(quota for quota in config.build.pretrain.values() if isinstance(quota, int))
    assert config.pretrain.steps * config.pretrain.global_batch == pairs


@pytest.fixture(scope="module")
def official(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data = tmp_path_factory.mktemp("data")
    write_official_files(data)
    return data


def make_params(finetune: dict[str, Quota]) -> dict[str, Any]:
    """The profile but for the tokenizer, which is on the hub, and its image of 32 tokens."""
    params = read_params(PROFILES / "flan-t5-xl.yaml")
    params["model"]["base"] = "builtin:tiny"
    params["build"]["finetune"] = finetune
    return params


def run(paths: Paths, params: dict[str, Any], *stages: str) -> None:
    config = check_config(params, "params.yaml")
    for stage in stages:
        group, _, member = stage.partition("@")
        context = StageContext(stage, member or None, config, paths, "0" * 40)
        importlib.import_module(f"mmicl.stages.{group}").run(context)


def test_all_sixteen_get_from_official_files_to_samples(
    official: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MMICL_SOURCE_DATA", str(official))
    paths, params = Paths(tmp_path, tmp_path / ".mmicl"), make_params(dict(QUOTAS))
    members = [f"{stage}@{name}" for name in params["datasets"] for stage in ("fetch", "ingest")]
    run(paths, params, *members, "augment", "build")

    for name in params["datasets"]:
        told = read_json(paths.examples(name) / "manifest.json")
        assert told["quarantined"] == {}, name
        assert told["splits"]["train"] > 0 or name not in {*QUOTAS, *PAIRS}
    for name in ("okvqa", "refcoco", "gqa", "llava"):  # their folders hold no picture
        told = read_json(paths.examples(name) / "manifest.json")
        assert told["borrowed"] == told["images"] == N, name

    parts = read_json(paths.mic / "manifest.json")["parts"]
    told = parts["finetune"]["datasets"]
    assert {name: one["quota"] for name, one in told.items()} == QUOTAS
    samples = read_rows(paths.mic / "finetune.parquet", Sample)
    assert Counter(row.dataset for row in samples) == {
        name: one["samples"] for name, one in told.items()
    }
    assert min(one["samples"] for one in told.values()) > 0
    assert set(parts["pretrain"]["datasets"]) == PAIRS
    assert parts["pretrain"]["datasets"]["laion400m"]["samples"] == N

    run(paths, make_params(dict.fromkeys(QUOTAS, 0.1)), "build")  # the paper's share
    tenth = read_json(paths.mic / "manifest.json")["parts"]["finetune"]["datasets"]
    for name, one in tenth.items():
        asked = max(1, round(0.1 * told[name]["samples"]))
        assert one["samples"] == one["quota"] == asked, name
