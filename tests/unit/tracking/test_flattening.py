"""Params and scores as MLflow wants them: flat, and within its limits."""

from typing import Any

from mmicl.tracking.store import clean_key, flatten, shorten
from mmicl.tracking.sync import flatten_scores


def test_nested_params_get_dots() -> None:
    nested = {"build": {"pretrain": {"coco": 9}, "empty": {}}, "seed": 1, "list": [1, 2]}
    assert flatten(nested) == {
        "build.pretrain.coco": 9, "build.empty": {}, "seed": 1, "list": [1, 2],
    }  # fmt: skip


def test_long_values_end_in_the_hash_of_the_whole() -> None:
    one, other = "x" * 7000 + "1", "x" * 7000 + "2"
    assert len(shorten(one, 6000)) == 6000
    assert shorten(one, 6000) != shorten(other, 6000)
    assert shorten("x" * 6000, 6000) == "x" * 6000


def test_keys_lose_characters_that_mlflow_refuses() -> None:
    assert clean_key("facts.kept@train (%)") == "facts.kept_train ___"


def test_scores_carry_their_interval_and_controls() -> None:
    found: dict[str, Any] = {
        "value": 71.0, "low": 65.0, "high": 77.0, "chance": None,
        "controls": {"majority": 50.0, "blank": None},
    }  # fmt: skip
    scores = {"benchmarks": {"pope": {"version": "1", "n": 9, "metrics": {"f1": found}}}}
    assert flatten_scores(scores) == {
        "pope.n": 9.0, "pope.f1": 71.0, "pope.f1_low": 65.0, "pope.f1_high": 77.0,
        "pope.f1_majority": 50.0,
    }  # fmt: skip
