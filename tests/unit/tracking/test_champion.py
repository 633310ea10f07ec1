"""Who becomes champion: gates first, then no loss to the present one."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mmicl.tracking.champion import Entrant, challenge
from mmicl.tracking.pairs import ITEMS


def entrant(name: str, value: float, folder: Path | None = None, **gate: Any) -> Entrant:
    found = {"passed": True, "value": value} | gate
    return Entrant(
        name=name,
        gates={"gates": {"pope.accuracy": found}},
        scores={"pope": {"version": "1", "metrics": {"accuracy": {"value": value}}}},
        predictions=folder,
    )


def write_items(folder: Path, values: list[float], groups: int, pictures: str = "picture") -> Path:
    folder.mkdir()
    table = {
        "benchmark": ["pope"] * len(values),
        "metric": ["accuracy"] * len(values),
        "item": [f"item {index}" for index in range(len(values))],
        "group": [f"group {index % groups}" for index in range(len(values))],
        "value": values,
    }
    pq.write_table(pa.table(table), folder / ITEMS)
    answers = {
        "item": table["item"],
        "images": [[f"{pictures} {index}"] for index in range(len(values))],
        "target": ["yes"] * len(values),
        "control": [""] * len(values),
    }
    pq.write_table(pa.table(answers), folder / "pope.parquet")
    return folder


def test_gate_not_passed_is_no_champion_even_without_rival() -> None:
    verdict = challenge(entrant("version 1", 90.0, passed=False), None)
    assert not verdict.wins
    assert "gate pope.accuracy not passed" in verdict.why


def test_first_that_passes_is_champion() -> None:
    assert challenge(entrant("version 1", 60.0), None).wins


@pytest.mark.parametrize(("value", "wins"), [(70.0, True), (69.9, False), (71.0, True)])
def test_without_common_items_the_plain_values_decide(value: float, wins: bool) -> None:
    verdict = challenge(entrant("version 2", value), entrant("version 1", 70.0))
    assert verdict.wins is wins
    assert "70.00 of version 1" in verdict.why


def test_paired_loss_within_chance_is_no_loss(tmp_path: Path) -> None:
    old = write_items(tmp_path / "old", [100.0, 0.0] * 50, groups=100)
    new = write_items(tmp_path / "new", [0.0] * 1 + [0.0] + [100.0, 0.0] * 49, groups=100)
    verdict = challenge(entrant("version 2", 49.0, new), entrant("version 1", 50.0, old))
    assert verdict.wins
    assert "paired" in verdict.why


def test_paired_loss_beyond_chance_is_one(tmp_path: Path) -> None:
    old = write_items(tmp_path / "old", [100.0, 0.0] * 50, groups=100)
    new = write_items(tmp_path / "new", [0.0] * 40 + [100.0, 0.0] * 30, groups=100)
    verdict = challenge(entrant("version 2", 30.0, new), entrant("version 1", 50.0, old))
    assert not verdict.wins
    assert "-20.00" in verdict.why


def test_pairs_are_resampled_by_group(tmp_path: Path) -> None:
    # Every tenth item is lost. As 100 groups that is beyond chance; as two groups of alternating
    # items, one of which lost nothing, it is not.
    old = write_items(tmp_path / "old", [100.0] * 100, groups=2)
    new = write_items(tmp_path / "new", [0.0 if i % 10 == 0 else 100.0 for i in range(100)], 2)
    assert challenge(entrant("version 2", 90.0, new), entrant("version 1", 100.0, old)).wins
    apart = write_items(tmp_path / "apart", [100.0] * 100, groups=100)
    lost = write_items(tmp_path / "lost", [0.0 if i % 10 == 0 else 100.0 for i in range(100)], 100)
    assert not challenge(entrant("version 2", 90.0, lost), entrant("version 1", 100.0, apart)).wins


def test_other_items_are_not_paired(tmp_path: Path) -> None:
    old = write_items(tmp_path / "old", [100.0] * 10, groups=10)
    new = write_items(tmp_path / "new", [100.0] * 9, groups=9)
    verdict = challenge(entrant("version 2", 60.0, new), entrant("version 1", 70.0, old))
    assert not verdict.wins
    assert "paired" not in verdict.why


def test_other_pictures_under_the_same_names_are_not_paired(tmp_path: Path) -> None:
    old = write_items(tmp_path / "old", [100.0] * 10, groups=10)
    new = write_items(tmp_path / "new", [100.0] * 10, groups=10, pictures="another")
    verdict = challenge(entrant("version 2", 60.0, new), entrant("version 1", 70.0, old))
    assert not verdict.wins
    assert "paired" not in verdict.why


def test_champion_whose_artifacts_are_gone_cannot_win() -> None:
    gone = Entrant("version 1", None, None, None)
    verdict = challenge(entrant("version 2", 10.0), gone)
    assert verdict.wins
    assert "pope.accuracy cannot be compared" in verdict.why


def test_another_version_of_a_benchmark_is_not_compared() -> None:
    old = entrant("version 1", 70.0)
    other = Entrant(old.name, old.gates, {"pope": {**old.scores["pope"], "version": "0"}}, None)  # type: ignore[index]
    assert challenge(entrant("version 2", 10.0), other).wins
