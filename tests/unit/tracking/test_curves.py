"""A curve is put together from what a training leaves behind."""

from pathlib import Path

import pytest

from mmicl.errors import DataError
from mmicl.paths import Paths
from mmicl.tracking.chain import StageOnDisk, read_curve


@pytest.fixture
def stage(tmp_path: Path) -> tuple[Paths, StageOnDisk]:
    paths = Paths(tmp_path, tmp_path / ".mmicl")
    folder = paths.run("finetune", "0" * 40)
    folder.mkdir(parents=True)
    return paths, StageOnDisk("finetune", "0" * 40, {}, None, folder)


def test_curve_joins_losses_and_throughput_by_step(stage: tuple[Paths, StageOnDisk]) -> None:
    paths, found = stage
    (found.folder / "curve.csv").write_text("step,loss,padding_share\n1,2.5,0.1\n2,2.25,0.2\n")
    # Step 2 was done twice: the run was killed after it, and went on from step 1.
    (found.folder / "meters.jsonl").write_text(
        '{"step": 2, "samples_per_second": 7.0}\n{"step": 2, "samples_per_second": 8.0}\n'
    )
    assert read_curve(paths, found) == [
        (1, {"loss": 2.5, "padding_share": 0.1}),
        (2, {"loss": 2.25, "padding_share": 0.2, "samples_per_second": 8.0}),
    ]


def test_restored_stage_has_the_curve_that_is_an_out(stage: tuple[Paths, StageOnDisk]) -> None:
    paths, found = stage
    out = paths.root / "reports" / "curves" / "finetune.csv"
    out.parent.mkdir(parents=True)
    out.write_text("step,loss\n1,2.5\n")
    assert read_curve(paths, found) == [(1, {"loss": 2.5})]


def test_stage_that_does_not_train_has_none(stage: tuple[Paths, StageOnDisk]) -> None:
    assert read_curve(*stage) == []


@pytest.mark.parametrize("text", ["loss\n2.5\n", "step,loss\n1,much\n", "step,loss\n1\n"])
def test_broken_curve_is_named(stage: tuple[Paths, StageOnDisk], text: str) -> None:
    paths, found = stage
    (found.folder / "curve.csv").write_text(text)
    with pytest.raises(DataError, match=r"curve\.csv: not a curve"):
        read_curve(paths, found)
