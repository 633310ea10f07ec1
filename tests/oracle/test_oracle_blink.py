"""BLINK against the accuracies of the published models' extracted answers."""

import json
from pathlib import Path

import pytest

from mmicl.benchmarks.score import score_files

pytestmark = pytest.mark.oracle


@pytest.mark.parametrize("model", ["GPT4V", "MiniGPT-4-v2"])
def test_blink_equals_the_published_accuracies(shared_data: Path, model: str) -> None:
    folder = shared_data / "blink_outputs"
    table = json.loads((folder / "accuracy_of_extracted_prediction.json").read_text())
    expected = {name.removeprefix(f"{model}/"): one for name, one in table.items() if model in name}
    scored = score_files("blink", folder / model)
    total = scored["metrics"].pop("Total")
    assert scored["metrics"] == {name: one["accuracy"] for name, one in expected.items()}
    assert "warnings" not in scored  # so the numbers of questions are the official ones
    assert scored["n"] == sum(one["n"] for one in expected.values())
    assert total == pytest.approx(sum(scored["metrics"].values()) / 14)
