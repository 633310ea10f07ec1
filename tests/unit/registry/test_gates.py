"""Gates: the lower bound against the best control."""

from typing import Any

import pytest

from mmicl.errors import DataError, UserError
from mmicl.registry.gates import find_lead, judge


def scores(**changes: Any) -> dict[str, Any]:
    found = {
        "value": 70.0, "low": 62.0, "high": 78.0, "chance": 50.0,
        "controls": {"majority": 55.0, "blank": 56.5, "shuffled": None},
    }  # fmt: skip
    return {
        "benchmarks": {"pope": {"version": "1", "n": 9, "metrics": {"accuracy": found | changes}}}
    }


def test_gate_asks_the_lower_bound_to_clear_the_best_control() -> None:
    gate = judge(scores(), {"pope.accuracy": 5.0})["gates"]["pope.accuracy"]
    assert (gate["control"], gate["best_control"], gate["lead"]) == ("blank", 56.5, 5.5)
    assert gate["passed"]


def test_value_above_the_margin_does_not_help_a_low_bound() -> None:
    found = judge(scores(low=61.4), {"pope.accuracy": 5.0})
    assert not found["gates"]["pope.accuracy"]["passed"]
    assert not found["passed"]


def test_exactly_the_margin_passes() -> None:
    assert judge(scores(low=61.5), {"pope.accuracy": 5.0})["passed"]


def test_no_gates_pass() -> None:
    assert judge(scores(), {}) == {"passed": True, "gates": {}}


def test_margin_of_a_score_that_was_not_measured_names_those_that_were() -> None:
    with pytest.raises(UserError, match=r"pope\.f1: .*there are pope\.accuracy"):
        judge(scores(), {"pope.f1": 5.0})


@pytest.mark.parametrize("change", [{"low": None}, {"chance": None, "controls": {}}])
def test_score_without_interval_or_controls_passes_no_gate(change: dict[str, Any]) -> None:
    with pytest.raises(DataError, match="without interval or controls"):
        judge(scores(**change), {"pope.accuracy": 5.0})


def test_lead_is_that_of_the_lower_bound_and_only_where_more_is_better() -> None:
    found = scores()["benchmarks"]["pope"]["metrics"]["accuracy"]
    assert find_lead("accuracy", found) == 5.5
    assert find_lead("accuracy", found | {"low": 40.0}) == -16.5
    assert find_lead("accuracy", found | {"low": None}) is None
    assert find_lead("accuracy", found | {"chance": None, "controls": {}}) is None
    assert find_lead("yes_ratio", found) is None
