"""docs/benchmarks.md and the help of `mmicl score` name the benchmarks that can be scored."""

import re
from pathlib import Path

import pytest

from mmicl import cli
from mmicl.benchmarks.official import OFFICIAL

PAGE = Path(__file__).resolve().parents[2] / "docs" / "benchmarks.md"


def rows() -> list[list[str]]:
    """The cells of the page's table."""
    lines = [line for line in PAGE.read_text().splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_the_table_has_every_benchmark_once_in_order() -> None:
    assert [row[0].strip("`") for row in rows()] == sorted(OFFICIAL)


def test_the_table_says_all_of_each() -> None:
    for row in rows():
        assert len(row) == 5
        assert all(row), row[0]


def test_the_help_lists_every_benchmark() -> None:
    assert re.split(r",\s+", cli.SCORED.removesuffix(".")) == sorted(OFFICIAL)


@pytest.mark.parametrize("name", sorted(OFFICIAL))
def test_who_needs_no_references_is_said_in_the_table(name: str, tmp_path: Path) -> None:
    """Those that do say so before they read anything else."""
    from mmicl.benchmarks.score import score_files
    from mmicl.errors import MmiclError

    predictions = tmp_path / "predictions.json"
    predictions.write_text("[]")
    with pytest.raises(MmiclError) as caught:
        score_files(name, predictions)
    (given,) = (row[2] for row in rows() if row[0] == f"`{name}`")
    assert ("references are needed" in str(caught.value)) == ("none" not in given)
