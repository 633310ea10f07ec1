"""MME against what its calculation.py printed for LaVIN."""

import re
from pathlib import Path
from typing import Any

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


def recount(path: Path) -> dict[str, Any]:
    """One sub-task's counts by the rule of calculation.py, written anew.

    Its parse_pred_ans: an answer in lower case that is yes or no, or has one of them (yes first)
    within its first four signs, is that; anything else is other, -1 to it. Its compute_metric: the
    confusion matrix, precision and recall leave the others out, the accuracy takes them as wrong.
    """
    pairs = []
    for line in path.read_text().rstrip("\n").split("\n"):
        _, _, label, said = line.lower().split("\t")
        start = said[:4]
        answer = 1 if "yes" in start else 0 if "no" in start else -1
        pairs.append((int(label == "yes"), answer))
    clean = [pair for pair in pairs if pair[1] >= 0]
    of_yes = [answer for label, answer in clean if label == 1]
    of_no = [answer for label, answer in clean if label == 0]
    return {
        "TP": sum(of_yes), "FN": len(of_yes) - sum(of_yes),
        "FP": sum(of_no), "TN": len(of_no) - sum(of_no),
        "precision": sum(of_yes) / (sum(of_yes) + sum(of_no)),
        "recall": sum(of_yes) / len(of_yes),
        "other_num": len(pairs) - len(clean),
        "acc": sum(label == answer for label, answer in pairs) / len(pairs),
        "acc_plus": sum(
            one[0] == one[1] and other[0] == other[1]
            for one, other in zip(pairs[::2], pairs[1::2], strict=True)
        ) / (len(pairs) / 2),
    }  # fmt: skip


def test_mme_counts_equal_an_independent_recount(shared_data: Path) -> None:
    folder = shared_data / "mme" / "LaVIN"
    subtasks = score_files("mme", folder)["metrics"]["subtasks"]
    counted = {path.stem: recount(path) for path in folder.glob("*.txt")}
    assert len(counted) == 14
    assert sum(counts["other_num"] for counts in counted.values()) > 0
    for name, counts in counted.items():
        assert {key: subtasks[name][key] for key in counts} == counts, name


def test_the_whole_set_has_no_warning(shared_data: Path) -> None:
    """So the numbers of pictures are those of the official files."""
    assert "warnings" not in score_files("mme", shared_data / "mme" / "LaVIN")


def test_templates_without_answers_are_refused(shared_data: Path) -> None:
    with pytest.raises(DataError, match=r"existence\.txt, line 1: 3 columns, not 4"):
        score_files("mme", shared_data / "mme" / "Your_Results")
