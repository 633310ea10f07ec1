"""NLVR2 against its metrics.py."""

import json
from pathlib import Path

import pytest

from mmicl.benchmarks.score import score_files

pytestmark = pytest.mark.oracle


def test_nlvr2_equals_the_official_script(shared_data: Path) -> None:
    folder = shared_data / "nlvr2"
    expected = json.loads((folder / "expected_official_metrics.json").read_text())
    scored = score_files("nlvr2", folder / "made_predictions.csv", folder / "dev.json")
    assert {"n": scored["n"], **scored["metrics"]} == expected
