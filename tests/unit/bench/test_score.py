"""The bench of `mmicl score` writes what is scored whole, and says when it is over budget."""

import subprocess
import sys
from pathlib import Path

import score

from mmicl.benchmarks.score import score_files


def test_what_it_writes_is_scored_whole(tmp_path: Path) -> None:
    annotations, results = score.write_files(tmp_path, 60)
    scored = score_files("vqav2", results, annotations, per_item=True)
    assert scored["n"] == len(scored["per_item"]) == 60
    assert 20 < scored["metrics"]["overall"] < 100
    assert "warnings" not in scored


def test_too_much_memory_is_a_failure() -> None:
    """In a process of its own: a child's peak begins with its parent's."""
    bench = [sys.executable, score.__file__, "--questions", "20", "--seconds", "inf"]
    within = subprocess.run(bench, capture_output=True, text=True, check=False)
    assert within.returncode == 0, within.stderr
    assert "| GB of memory | 0." in within.stdout
    over = subprocess.run(
        [*bench, "--memory", "0.001"], capture_output=True, text=True, check=False
    )
    assert (over.returncode, over.stderr) == (1, "over budget: GB of memory\n")
