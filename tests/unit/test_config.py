"""params.yaml is complete and strict: each wrong key is named in one line."""

from pathlib import Path
from typing import Any

import pytest

from mmicl.config import check_config, load_config, read_params
from mmicl.errors import ConfigError
from mmicl.sources import READERS

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


FULL_SIZE = [path for path in PROFILES if "flan" in path.stem]


@pytest.mark.parametrize("path", FULL_SIZE, ids=lambda path: path.stem)
@pytest.mark.parametrize("reader", ["iconqa_txt", "vsr"])
@pytest.mark.parametrize("part", ["pretrain", "finetune"])
def test_no_full_size_profile_trains_on_what_the_paper_holds_out(
    path: Path, reader: str, part: str
) -> None:
    """The released mix had 15,000 samples of IconQA, and shipped VSR's training set."""
    for name in (reader, "puzzles"):  # under another name it is still the same dataset
        params = read_params(path)
        params["datasets"][name] = params["datasets"]["coco"] | {
            "reader": reader, "pictures": f"raw/{name}",
        }  # fmt: skip
        check_config(params, where=path.name)
        params["build"][part][name] = 15_000
        with pytest.raises(ConfigError) as caught:
            check_config(params, where=path.name)
        assert str(caught.value) == (
            f"{path.name}: build.{part}.{name}: {reader} is held out (build.held_out); "
            "train on another dataset, or strike it from build.held_out"
        )


def test_full_size_profiles_hold_out_every_test_set_there_is_a_reader_for() -> None:
    tested = {reader.name for reader in READERS.values() if reader.page.use == "test"}
    for path in FULL_SIZE:
        held_out = load_config(path).build.held_out
        assert held_out == sorted(set(held_out))
        # Raven's generator trains nothing of the paper's; NLVR1 is ours, to look at.
        assert set(held_out) == (tested | {"raven"}) - {"nlvr1"}


def test_a_key_that_stands_twice_is_refused(tmp_path: Path) -> None:
    """The released script gave msrvttqa twice, and the second quota won unseen."""
    text = (ROOT / "profiles" / "tiny.yaml").read_text()
    path = tmp_path / "twice.yaml"
    path.write_text(text.replace("msrvtt_qa: 500}", "msrvtt_qa: 500, msrvtt_qa: 300}"))
    line = next(n for n, it in enumerate(path.read_text().splitlines(), 1) if "qa: 300}" in it)
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert str(caught.value) == (
        f"twice.yaml, line {line}: the key msrvtt_qa stands twice; "
        "remove one; the second would silently replace the first"
    )


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
