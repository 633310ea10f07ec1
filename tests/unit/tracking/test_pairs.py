"""Two folders of predictions, compared item by item."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mmicl.errors import UserError
from mmicl.printing import print_comparison
from mmicl.tracking.pairs import ITEMS, compare_folders


def write_items(folder: Path, scores: dict[str, list[float]]) -> Path:
    """`benchmark.metric` -> the values of items 0, 1, …, two items to a group."""
    rows = [
        {"benchmark": key.split(".")[0], "metric": key.split(".")[1], "item": f"{number}",
         "group": f"{number // 2}", "value": value}
        for key, values in scores.items()
        for number, value in enumerate(values)
    ]  # fmt: skip
    folder.mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(rows), folder / ITEMS)
    return folder


def test_what_both_have_is_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ours = {"pope.accuracy": [100.0, 100.0, 0.0, 100.0], "mme.accuracy": [50.0], "nlvr2.a": [1.0]}
    theirs = {"pope.accuracy": [0.0, 0.0, 0.0, 100.0], "mme.accuracy": [50.0, 0.0], "vcr.a": [1.0]}
    mine = write_items(tmp_path / "ours", ours)
    write_items(tmp_path / "theirs" / "reports" / "predictions", theirs)
    found = compare_folders(mine, tmp_path / "theirs")
    assert set(found) == {"pope.accuracy", "mme.accuracy", "nlvr2.a", "vcr.a"}
    assert found["pope.accuracy"] == {
        "items": 4, "ours": 75.0, "theirs": 25.0, "low": 0.0, "mean": 50.0, "high": 100.0,
    }  # fmt: skip
    assert (found["mme.accuracy"]["theirs"], found["mme.accuracy"]["mean"]) == (25.0, None)
    lacking = dict.fromkeys(("theirs", "low", "mean", "high"))
    assert found["nlvr2.a"] == {"items": 1, "ours": 1.0, **lacking}
    assert (found["vcr.a"]["ours"], found["vcr.a"]["theirs"]) == (None, 1.0)
    print_comparison(found)
    told = capsys.readouterr().out
    assert "+50.0 [+0.0, +100.0]" in told
    assert "not compared: other items" in told
    assert "not compared: not in theirs" in told
    assert "not compared: not in ours" in told


def test_folders_without_predictions_or_common_metrics_are_refused(tmp_path: Path) -> None:
    ours = write_items(tmp_path / "ours", {"pope.accuracy": [1.0]})
    with pytest.raises(UserError, match=r"empty: no items\.parquet of a stage evaluate"):
        compare_folders(ours, tmp_path / "empty")
    theirs = write_items(tmp_path / "theirs", {"mme.accuracy": [1.0]})
    with pytest.raises(UserError, match="no metric in common"):
        compare_folders(ours, theirs)
