"""The export is the trained model in the hub's layout; equal inputs give equal bytes."""

from pathlib import Path
from typing import Any

import pytest

from mmicl.config import load_config
from mmicl.errors import DataError
from mmicl.files import hash_file, read_json, write_json
from mmicl.paths import Paths
from mmicl.registry.packaging import package

ROOT = Path(__file__).resolve().parents[3]
TINY = load_config(ROOT / "profiles" / "tiny.yaml")
MARGINS = {"vqav2.accuracy": 5.0, "pope.accuracy": 5.0}
CONFIG = TINY.model_copy(
    update={"register_": TINY.register_.model_copy(update={"margins": MARGINS})}
)
TRAINED = "language_projection.bias"


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    """The miniature with a projection that stage II left at 0.5, and scores."""
    import torch

    from mmicl.model.loading import load_model, save_trained

    paths = Paths(tmp_path, tmp_path / ".mmicl")
    model, _ = load_model("builtin:tiny")
    for folder, value in ((paths.pretrained, 0.25), (paths.finetuned, 0.5)):
        with torch.no_grad():
            model.get_parameter(TRAINED).fill_(value)
        save_trained(model, folder, [TRAINED])
    write_scores(paths, low=40.0)
    return paths


def write_scores(paths: Paths, **changes: Any) -> None:
    found = {
        "value": 70.0, "low": 65.0, "high": 75.0, "chance": 50.0, "controls": {"majority": 50.0},
    } | changes  # fmt: skip
    one = {"version": "1", "n": 9, "metrics": {"accuracy": found}}
    write_json(paths.scores, {"benchmarks": {"vqav2": one, "pope": one}})


def test_export_holds_the_trained_weights_and_equal_inputs_give_equal_bytes(paths: Paths) -> None:
    from transformers import Blip2ForConditionalGeneration

    gates = package(paths, CONFIG)
    assert gates["passed"] is False  # a model that fails its gates is packaged all the same
    assert read_json(paths.gates) == gates
    model = Blip2ForConditionalGeneration.from_pretrained(paths.export)
    assert set(model.get_parameter(TRAINED).tolist()) == {0.5}
    card = (paths.export / "README.md").read_text()
    assert "vqav2.accuracy: not passed" in card
    first = hash_folder(paths.export)
    package(paths, CONFIG)
    assert hash_folder(paths.export) == first
    assert {"README.md", "config.json", "model.safetensors", "tokenizer.json"} <= set(first)


def test_a_model_that_was_trained_with_tags_says_so(paths: Paths) -> None:
    from mmicl.model.processor import MmiclProcessor

    package(paths, CONFIG)
    assert not MmiclProcessor.from_pretrained(paths.export).image_tags
    scheme = CONFIG.build.scheme.model_copy(update={"tags": True})
    build = CONFIG.build.model_copy(update={"scheme": scheme, "finetune": {"vqav2": 0.1}})
    finetune = CONFIG.finetune.model_copy(update={"train_proxies": True})
    package(paths, CONFIG.model_copy(update={"build": build, "finetune": finetune}))
    assert MmiclProcessor.from_pretrained(paths.export).image_tags
    card = (paths.export / "README.md").read_text()
    assert "image 0 is <image0>[image]图[/image]." in card
    assert "the proxies' embeddings" in card
    assert "stage II (0.1 of its samples)" in card


def test_scores_that_pass_no_judgement_leave_no_export(paths: Paths) -> None:
    write_scores(paths, low=None)
    with pytest.raises(DataError, match="without interval"):
        package(paths, CONFIG)
    assert not paths.export.exists()


def hash_folder(folder: Path) -> dict[str, str]:
    return {path.name: hash_file(path) for path in folder.iterdir()}
