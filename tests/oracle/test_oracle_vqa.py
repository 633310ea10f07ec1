"""VQA accuracy against GT-Vision-Lab/VQA's vqaEval.py, on TextVQA's and VizWiz's answers."""

import json
from pathlib import Path

import pytest

from mmicl.benchmarks.score import score_files

pytestmark = pytest.mark.oracle
RESULTS = ("const_unanswerable", "first_annotator", "decorated_annotator")


@pytest.mark.parametrize("name", RESULTS)
@pytest.mark.parametrize("benchmark", ["textvqa", "vizwiz"])
def test_vqa_equals_the_official_tool(shared_data: Path, benchmark: str, name: str) -> None:
    folder = shared_data / benchmark
    expected = json.loads((folder / "expected_official_vqaEval.json").read_text())[name]
    scored = score_files(
        benchmark,
        folder / f"made_results_{name}.json",
        folder / "val_annotations_vqa_format.json",
        per_item=True,
    )
    assert scored["metrics"] == expected
    questions = folder / f"expected_per_question_{name}.json"
    if questions.exists():
        assert scored["per_item"] == json.loads(questions.read_text())
