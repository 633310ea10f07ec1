"""The model card tells data, licences, scores beside controls, gates; the same text each time."""

from pathlib import Path
from typing import Any

from mmicl.config import Config, load_config
from mmicl.registry.card import write_card
from mmicl.registry.gates import judge

ROOT = Path(__file__).resolve().parents[3]
SCORES: dict[str, Any] = {
    "benchmarks": {
        "pope": {
            "version": "1", "n": 200,
            "metrics": {
                "accuracy": {
                    "value": 71.25, "low": 65.0, "high": 77.0, "chance": 50.0,
                    "controls": {"majority": 50.5, "blank": 49.5, "shuffled": 51.5},
                },
                "yes_share": {
                    "value": 48.0, "low": None, "high": None, "chance": None, "controls": {},
                },
            },
        }
    }
}  # fmt: skip


def card(config: Config) -> str:
    return write_card(config, SCORES, judge(SCORES, {"pope.accuracy": 20.0}))


def test_card_tells_data_scores_and_gates() -> None:
    config = load_config(ROOT / "profiles" / "tiny.yaml")
    text = card(config)
    for name, dataset in config.datasets.items():
        assert f"| {name} | `{dataset.source}` | {dataset.licence} |" in text
    assert "| pope accuracy | 71.2 [65.0, 77.0] | 200 | 50.0 | 50.5 | 49.5 | 51.5 | - |" in text
    assert "| pope yes_share | 48.0 | 200 | - | - | - | - | - |" in text
    assert "pope.accuracy: not passed; lower bound 65.0, +13.5 points from the best" in text


def test_equal_inputs_give_equal_cards() -> None:
    config = load_config(ROOT / "profiles" / "tiny.yaml")
    assert card(config) == card(config)


def test_card_of_a_published_base_names_it() -> None:
    config = load_config(ROOT / "profiles" / "flan-t5-xl.yaml")
    assert f"base_model: {config.model.base}\n" in card(config)
    assert "base_model" not in card(load_config(ROOT / "profiles" / "tiny.yaml"))
