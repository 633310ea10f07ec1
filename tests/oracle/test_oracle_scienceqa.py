"""ScienceQA against its evaluate_acc.py, on answers of GPT-3 and LLaVA."""

import json
from pathlib import Path

import pytest

from mmicl.benchmarks.score import score_files
from mmicl.benchmarks.scorers.scienceqa import Problem, count_parts

pytestmark = pytest.mark.oracle
OFFICIAL = {
    "all": "acc_average", "NAT": "acc_natural", "SOC": "acc_social", "LAN": "acc_language",
    "TXT(hint)": "acc_has_text", "IMG": "acc_has_image", "NO": "acc_no_context",
    "G1-6": "acc_grade_1_6", "G7-12": "acc_grade_7_12",
}  # fmt: skip


@pytest.mark.parametrize("model", ["gpt3_QCM-ALE_2shot", "llava_13b_v0"])
def test_scienceqa_equals_the_official_script(shared_data: Path, model: str) -> None:
    folder = shared_data / "scienceqa"
    expected = json.loads((folder / "expected.json").read_text())[model]
    scored = score_files("scienceqa", folder / f"real_model_outputs_{model}.json", folder)
    wanted = {OFFICIAL[name]: value for name, (value, _) in expected.items()}
    assert scored["metrics"].items() >= wanted.items()
    assert scored["n"] == expected["all"][1]


def test_parts_have_the_official_sizes(shared_data: Path) -> None:
    folder = shared_data / "scienceqa"
    expected = json.loads((folder / "expected.json").read_text())["llava_13b_v0"]
    problems = {
        key: Problem(value["subject"], value["grade"], bool(value["hint"]), bool(value["image"]), 0)
        for key, value in json.loads((folder / "problems.json").read_text()).items()
        if value["split"] == "test"
    }
    sizes = {OFFICIAL[name]: size for name, (_, size) in expected.items()}
    assert count_parts(problems).items() >= sizes.items()
