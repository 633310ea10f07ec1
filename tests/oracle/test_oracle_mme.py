"""MME against what its calculation.py printed for LaVIN."""

import re
from pathlib import Path

import pytest

from mmicl.benchmarks.score import score_files
from mmicl.errors import DataError

pytestmark = pytest.mark.oracle


def test_mme_equals_the_official_tool(shared_data: Path) -> None:
    text = (shared_data / "mme" / "expected_official_calculation.txt").read_text()
    totals = [float(value) for value in re.findall(r"total score: (\S+)", text)]
    subtasks = {name: float(value) for name, value in re.findall(r"\t (\w+)  score: (\S+)", text)}
    assert len(subtasks) == 14
    metrics = score_files("mme", shared_data / "mme" / "LaVIN")["metrics"]
    assert [metrics["perception"], metrics["cognition"]] == totals
    assert {name: metrics[name] for name in subtasks} == subtasks


def test_templates_without_answers_are_refused(shared_data: Path) -> None:
    with pytest.raises(DataError, match=r"existence\.txt, line 1: 3 columns, not 4"):
        score_files("mme", shared_data / "mme" / "Your_Results")
