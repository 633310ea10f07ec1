"""NExT-QA against its eval_mc.py, on the predictions of HGA."""

import json
from pathlib import Path

import pytest

from mmicl.benchmarks.score import score_files

pytestmark = pytest.mark.oracle


def test_nextqa_equals_the_official_script(shared_data: Path) -> None:
    folder = shared_data / "nextqa"
    expected = json.loads((folder / "expected_official_eval_mc.json").read_text())
    predictions = folder / "real_predictions_HGA-bert-ft-h256-val.json"
    scored = score_files("nextqa", predictions, folder / "val.csv")
    assert scored["metrics"] == expected
    assert scored["n"] == 4996
