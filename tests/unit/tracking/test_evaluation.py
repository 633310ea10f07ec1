"""The report of an evaluation takes the champion where there is one."""

from typing import Any

from mmicl.benchmarks.report.page import CHAMPION
from mmicl.tracking.champion import Entrant
from mmicl.tracking.evaluation import MARK, add_champion


def scores(value: float, version: str = "1") -> dict[str, Any]:
    metrics = {"accuracy": {"value": value}, "f1": {"value": 1.0}}
    return {"pope": {"version": version, "headline": ["accuracy"], "metrics": metrics}}


def entrant(benchmarks: dict[str, Any] | None) -> Entrant:
    return Entrant("version 3", None, benchmarks, None)


def test_the_stage_leaves_the_mark_that_tracking_looks_for() -> None:
    assert MARK == CHAMPION


def test_the_champion_stands_beside_the_headline_scores() -> None:
    page = add_champion(f"<p>{MARK}</p>", scores(70.0), "loses <by far>", entrant(scores(74.5)))
    assert "loses &lt;by far&gt;" in page
    assert MARK not in page
    for cell in ("version 3", ">70.0<", ">74.5<", ">-4.5<"):
        assert cell in page
    assert "f1" not in page


def test_scores_of_another_version_or_lost_ones_are_not_compared() -> None:
    for champion in (entrant(scores(74.5, "2")), entrant(None), None):
        page = add_champion(MARK, scores(70.0), "first", champion)
        assert "first" in page
        assert "<table>" not in page
