"""Evaluation on several GPUs (processes as there, though each on a processor), and in bf16."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from training_run import hand_on, prepare_features
from training_workspace import make_workspace

from mmicl.config import Config, check_config, read_params
from mmicl.files import hash_file, read_json
from mmicl.model.inference import Predictor
from mmicl.paths import Paths
from mmicl.stages import StageContext, augment, evaluate, fetch, ingest

N = 24
BENCHMARKS = ("mme", "pope", "winoground")
pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("one_rank")]


class OnProcessors(evaluate.Measuring):
    """Leaves a line for each load: the device that was meant."""

    def load(self, device: str) -> tuple[Predictor, str]:
        if self._loaded is None:
            with (self.paths.root / "loads.txt").open("a") as stream:
                stream.write(f"{device}\n")
        return super().load("cpu")


def prepare(root: Path) -> tuple[Config, Paths]:
    """A workspace with three benchmarks' examples and an untrained model."""
    paths = make_workspace(root)
    prepare_features(paths)
    params = read_params(root / "params.yaml")
    tiny = read_params(Path(__file__).parents[2] / "profiles" / "tiny.yaml")
    for name in BENCHMARKS:
        source = f"world://{name}?n={N}&seed=1"
        params["datasets"][name] = {**tiny["datasets"][name], "source": source}
        params["evaluate"]["benchmarks"][name] = {
            **tiny["evaluate"]["benchmarks"][name], "limit": N
        }  # fmt: skip
    params["evaluate"]["bootstrap"] = 20
    params["finetune"]["steps"] = 0
    config = check_config(params, "params.yaml")
    for stage in (fetch, ingest):
        for name in BENCHMARKS:
            group = stage.__name__.rpartition(".")[2]
            stage.run(StageContext(f"{group}@{name}", name, config, paths, "0" * 40))
    augment.run(StageContext("augment", None, config, paths, "0" * 40))
    hand_on("finetune", paths, config, paths.finetuned)
    return config, paths


def test_as_many_gpus_as_train_measure_what_one_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, paths = prepare(tmp_path)
    monkeypatch.setattr(evaluate, "Measuring", OnProcessors)
    found = {}
    for gpus, processes in ((1, 2), (3, 2)):
        monkeypatch.setattr(torch.cuda, "device_count", lambda gpus=gpus: gpus)
        launch = config.launch.model_copy(update={"processes": processes})
        context = StageContext(
            "evaluate", None, config.model_copy(update={"launch": launch}), paths, "0" * 40
        )
        shutil.rmtree(paths.cache("predictions"), ignore_errors=True)
        shutil.rmtree(paths.cache("features"), ignore_errors=True)
        (tmp_path / "loads.txt").unlink(missing_ok=True)
        evaluate.run(context)
        loads = sorted((tmp_path / "loads.txt").read_text().split())
        assert loads == (["cuda"] if gpus == 1 else ["cuda:0", "cuda:1"])
        tables = {path.name: hash_file(path) for path in sorted(paths.predictions.rglob("*.*"))}
        found[gpus] = read_json(paths.scores), tables, json.dumps(context.facts, sort_keys=True)
    assert found[1] == found[3]
    assert set(found[1][0]["benchmarks"]) == set(BENCHMARKS)


def test_in_bf16_the_model_answers_apart_from_what_it_said_in_fp32(tmp_path: Path) -> None:
    config, paths = prepare(tmp_path)
    found = {}
    for precision in ("fp32", "bf16"):
        own = config.evaluate.model_copy(update={"precision": precision})
        measuring = evaluate.Measuring(
            config.model_copy(update={"evaluate": own}), paths, tmp_path / precision
        )
        result, new = measuring("winoground")
        predictor, key = measuring.load("cpu")
        assert {str(weight.dtype) for weight in predictor.model.parameters()} == {
            {"fp32": "torch.float32", "bf16": "torch.bfloat16"}[precision]
        }
        found[precision] = key, new, [answer.scores for answer in result.answers]
    (key, new, exact), (other_key, as_new, rounded) = found["fp32"], found["bf16"]
    assert key != other_key
    assert new == as_new > 0
    assert exact != rounded
    for one, other in zip(exact, rounded, strict=True):
        assert other == pytest.approx(one, rel=0.02)
