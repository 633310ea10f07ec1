"""params.yaml is complete and strict: each wrong key is named in one line."""

from pathlib import Path
from typing import Any

import pytest

from mmicl.config import check_config, load_config, read_params
from mmicl.errors import ConfigError

ROOT = Path(__file__).resolve().parents[2]
PROFILES = sorted((ROOT / "profiles").glob("*.yaml"))


@pytest.mark.parametrize("path", PROFILES, ids=lambda path: path.stem)
def test_every_profile_is_valid_and_carries_its_own_name(path: Path) -> None:
    assert load_config(path).profile == path.stem


def test_params_hold_what_tiny_holds() -> None:
    assert read_params(ROOT / "params.yaml") == read_params(ROOT / "profiles" / "tiny.yaml")


def changed(key: str, value: Any) -> dict[str, Any]:
    params = read_params(ROOT / "profiles" / "tiny.yaml")
    *parents, last = key.split(".")
    section = params
    for parent in parents:
        section = section[parent]
    section[last] = value
    return params


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("pretrain.stepz", 3, r"pretrain.stepz: unknown key"),
        ("finetune.learning_rate", -1.0, r"finetune.learning_rate: .*greater than 0, got -1.0"),
        ("finetune.trainable_attention", "everything", r"trainable_attention: .*'design'"),
        ("build.finetune.vqav2", 1.0, r"build.finetune.vqav2: .*whole number .* share .*, got 1.0"),
        ("build.finetune.vqav2", -1, r"build.finetune.vqav2: .*whole number .* share .*, got -1"),
        ("pretrain.steps", -1, r"pretrain.steps: .*greater than or equal to 0, got -1"),
        ("pretrain.steps", "many", r"pretrain.steps: .*integer, got 'many'"),
        ("launch.zero_stage", 4, r"launch.zero_stage: .*3"),
        ("launch.offload", "parameters", r"offload parameters needs launch.zero_stage 3 or .* 2"),
        ("launch.profile_steps", [3], r"launch.profile_steps: .*2 items"),
        ("finetune.validation.patience", 0, r"patience: .*greater than or equal to 1, got 0"),
        ("build.finetune", {"nowhere": 3}, r"build.finetune: no dataset named nowhere"),
        ("ablation.variants", {"full": []}, r"claims\[0\]: no variant named no-scheme; .*full"),
    ],
)
def test_a_wrong_key_is_named(key: str, value: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        check_config(changed(key, value), where="params.yaml")
    assert str(caught.value).startswith("params.yaml: ")
    assert "\n" not in str(caught.value)


def test_bf16_needs_zero() -> None:
    params = changed("pretrain.precision", "bf16")
    params["launch"]["zero_stage"] = 0
    with pytest.raises(ConfigError, match=r"pretrain.precision bf16 needs launch.zero_stage 1"):
        check_config(params, where="params.yaml")


@pytest.mark.parametrize("stage", ["pretrain", "finetune"])
def test_a_training_stage_may_have_no_steps(stage: str) -> None:
    config = check_config(changed(f"{stage}.steps", 0), where="params.yaml")
    assert getattr(config, stage).steps == 0


def test_a_missing_key_is_named() -> None:
    params = read_params(ROOT / "profiles" / "tiny.yaml")
    del params["build"]["scheme"]["declaration"]
    with pytest.raises(ConfigError, match=r"build.scheme.declaration: missing"):
        check_config(params, where="params.yaml")


@pytest.mark.parametrize("text", ["a: [", "- a list", "", "\t"])
def test_what_is_no_yaml_mapping_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"params.yaml: not "):
        load_config(path)
