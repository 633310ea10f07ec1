"""The report of an evaluation takes the champion where there is one."""

import re
from typing import Any

from mmicl.benchmarks.report.page import CHAMPION, CHAMPION_CELL
from mmicl.tracking.champion import Entrant
from mmicl.tracking.evaluation import CELL, MARK, add_champion

PAGE = "".join(
    f'<td {CHAMPION_CELL}="pope-a&amp;b.{metric}">-</td>' for metric in ("accuracy", "f1", "recall")
)


def scores(value: float, version: str = "1", **more: float) -> dict[str, Any]:
    values = {"accuracy": value, **more}
    metrics = {name: {"value": one} for name, one in values.items()}
    return {"pope-a&b": {"version": version, "headline": ["accuracy"], "metrics": metrics}}


def entrant(benchmarks: dict[str, Any] | None) -> Entrant:
    return Entrant("version <3>", None, benchmarks, None)


def test_the_stage_leaves_the_places_that_tracking_looks_for() -> None:
    assert (MARK, CELL) == (CHAMPION, CHAMPION_CELL)


def test_the_champions_scores_go_into_the_table_of_scores() -> None:
    ours, theirs = scores(70.0, f1=50.0, recall=1.0), scores(74.5, f1=49.0)
    page = add_champion(f"{PAGE}<p>{MARK}</p>", ours, "loses <by far>", entrant(theirs))
    assert "loses &lt;by far&gt;" in page
    assert "The champion is version &lt;3&gt;" in page
    assert MARK not in page
    assert re.findall(">([^<]*)</td>", page) == ["74.5 (-4.5)", "49.0 (+1.0)", "-"]


def test_scores_of_another_version_or_lost_ones_are_not_compared() -> None:
    for champion in (entrant(scores(74.5, "2")), entrant(None), None):
        page = add_champion(PAGE + MARK, scores(70.0), "first", champion)
        assert page == f"{PAGE}<p>first</p>"
