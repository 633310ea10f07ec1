"""The bench of `mmicl score` writes what is scored whole, and says when it is over budget."""

import math
from pathlib import Path

import pytest
import score

from mmicl.benchmarks.score import score_files


def test_what_it_writes_is_scored_whole(tmp_path: Path) -> None:
    annotations, results = score.write_files(tmp_path, 60)
    scored = score_files("vqav2", results, annotations, per_item=True)
    assert scored["n"] == len(scored["per_item"]) == 60
    assert 20 < scored["metrics"]["overall"] < 100
    assert "warnings" not in scored


def test_too_much_memory_is_a_failure(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(score.BUDGET, "seconds", math.inf)
    assert score.main(["--questions", "20"]) == 0
    assert "| GB of memory | 0." in capsys.readouterr().out
    monkeypatch.setitem(score.BUDGET, "GB of memory", 0.001)
    assert score.main(["--questions", "20"]) == 1
    assert capsys.readouterr().err == "over budget: GB of memory\n"
