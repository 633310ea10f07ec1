"""docs/benchmarks.md and the help of `mmicl score` name the benchmarks there are, and those that
the readers' datasets call for are there.
"""

import re
import shlex
from pathlib import Path

import pytest

from mmicl.benchmarks import BENCHMARKS
from mmicl.benchmarks.official import OFFICIAL
from mmicl.benchmarks.page import replace_declared, write_declared
from mmicl.cli.looking import SCORED
from mmicl.registry.gates import UNRANKED
from mmicl.sources import READERS
from mmicl.workspace import resolve_params

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
    assert re.split(r",\s+", SCORED.removesuffix(".")) == sorted(OFFICIAL)


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


def test_the_committed_page_says_what_the_benchmarks_declare() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert replace_declared(text, write_declared(BENCHMARKS.values())) == text, (
        "run python -m mmicl.benchmarks.page and commit docs/benchmarks.md"
    )


TESTED = sorted(
    name for name, reader in READERS.items() if "test" in map(str.strip, reader.page.use.split(","))
)


@pytest.mark.parametrize("name", TESTED)
def test_every_dataset_that_is_for_testing_has_its_benchmark(name: str) -> None:
    assert name in BENCHMARKS


@pytest.mark.parametrize("name", sorted(BENCHMARKS))
def test_a_benchmark_asks_what_its_reader_makes(name: str) -> None:
    assert BENCHMARKS[name].task == READERS[BENCHMARKS[name].reader or name].task
    assert BENCHMARKS[name].headline
    assert set(BENCHMARKS[name].headline) <= set(BENCHMARKS[name].metrics)


def test_the_gates_know_the_metrics_of_which_more_is_not_better() -> None:
    assert {
        name for one in BENCHMARKS.values() for name, metric in one.metrics.items()
        if not metric.ranked
    } == UNRANKED  # fmt: skip


def test_the_commands_for_baselines_train_nothing_or_stage_i_alone() -> None:
    text = PAGE.read_text().replace("\\\n", "")
    part = text.partition("### Baselines")[2].partition("```bash")[2]
    lines = [shlex.split(line) for line in part.partition("```")[0].splitlines() if line[:1] == "m"]
    trained = []
    for line in lines:
        assert line[:3] == ["mmicl", "run", "--profile"]
        assert set(line[4::2]) == {"--set"}
        params = resolve_params(PAGE.parents[1], line[3], line[5::2])
        assert params["register"]["name"] != f"mmicl-{line[3]}"
        trained.append((params["pretrain"]["steps"] > 0, params["finetune"]["steps"] > 0))
    assert trained == [(False, False)] * 3 + [(True, False)]


@pytest.mark.parametrize("name", sorted(BENCHMARKS))
def test_metrics_have_names_that_mlflow_takes(name: str) -> None:
    assert all(re.fullmatch(r"[\w\-. /:]+", metric) for metric in BENCHMARKS[name].metrics)
