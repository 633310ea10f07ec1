"""Validation over a real engine: its loss, early ends, the best weights."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from training_run import prepare, record_weights

from mmicl.config import Validation
from mmicl.errors import DataError
from mmicl.files import read_rows, write_rows
from mmicl.paths import Paths
from mmicl.records import Sample
from mmicl.train.engine import blip2_of
from mmicl.train.loop import Trainer
from mmicl.train.validation import BEST, LAST, Validator

pytestmark = pytest.mark.usefixtures("one_rank")


def validate(trainer: Trainer, losses: list[float], **settings: Any) -> Validator:
    """Let a trainer find these losses when it validates, which it does after every step."""
    chosen = Validation(**{"every": 1, "patience": None, "keep": "last", **settings})
    trainer.validator = Validator(trainer.batches, chosen, size=8)
    given = iter(losses)
    trainer.validator.measure = lambda engine: next(given)
    return trainer.validator


def check_same(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> None:
    assert found.keys() == expected.keys()
    assert all(torch.equal(value, expected[name]) for name, value in found.items())


def test_a_run_ends_when_the_validation_loss_falls_no_more(
    paths: Paths, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trainer = prepare(paths, tmp_path / "run")
    trainer.progress.speaking = True
    seen = record_weights(trainer)
    validate(trainer, [3.0, 2.0, 2.5, math.nan, 1.0], patience=2)
    check_same(trainer.run(), seen[4])
    assert len(trainer.curve) == 4
    # Both lie in the run folder, whichever is handed on.
    check_same(load_file(tmp_path / "run" / LAST), seen[4])
    check_same(load_file(tmp_path / "run" / BEST), seen[2])
    assert "ends at step 4: no lower validation loss than that of step 2" in capsys.readouterr().out
    facts = trainer.facts_of_result()
    assert (facts["steps"], facts["kept_step"], facts["validation_loss"]) == (4, 4, None)
    assert facts["best"] == {"step": 2, "validation_loss": 2.0}


def test_the_best_weights_are_handed_on_also_by_a_run_that_goes_on(
    paths: Paths, tmp_path: Path
) -> None:
    losses = [3.0, 2.0, 2.5, 1.0, 4.0, 2.0]
    launch = {"checkpoint_every": 3}
    plain = prepare(paths, tmp_path / "plain", pretrain={"steps": 6}, launch=launch)
    seen = record_weights(plain)
    plain.run()

    trainer = prepare(paths, tmp_path / "run")
    validate(trainer, losses, keep="best")
    check_same(trainer.run(), seen[4])
    check_same(load_file(tmp_path / "run" / LAST), seen[6])
    assert trainer.facts_of_result()["validation_loss"] == 1.0
    assert trainer.facts_of_result()["kept_step"] == 4

    # Cut off after step 4 and its best; after step 3 the best was that of step 2.
    again = prepare(paths, tmp_path / "run")
    found = validate(again, [2.0, 4.0, 2.0], keep="best")
    tensors = again.run()
    assert (again.started_from, found.best_step, found.best_loss) == (3, 2, 2.0)
    check_same(tensors, seen[2])


def test_the_validation_loss_is_the_mean_over_all_held_out_tokens(
    paths: Paths, tmp_path: Path
) -> None:
    trainer = prepare(paths, tmp_path / "run", pretrain={"steps": 1})
    settings = Validation(every=1, patience=None, keep="last")
    losses = [
        Validator(trainer.batches, settings, size).measure(trainer.engine) for size in (24, 5)
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    assert blip2_of(trainer.engine).qformer.training


def test_stage_one_validates_with_its_own_pairs_where_it_is_told_to(
    paths: Paths, tmp_path: Path
) -> None:
    pairs = read_rows(paths.mic / "pretrain.parquet", Sample)[:5]
    write_rows(paths.mic / "pretrain_val.parquet", pairs, Sample)
    settings = {"every": 2, "patience": None, "keep": "best"}
    trainer = prepare(paths, tmp_path / "run", pretrain={"validation": settings, "steps": 3})
    logged: list[tuple[int, float]] = []
    trainer.log = lambda values, step: logged.extend(
        (step, values[name]) for name in values if name == "validation_loss"
    )
    assert trainer.validator is not None
    assert [row.id for row in trainer.validator.batches.samples] == [row.id for row in pairs]
    trainer.run()
    assert [step for step, _ in logged] == [2, 3]
    assert trainer.facts_of_result()["best"]["validation_loss"] == min(loss for _, loss in logged)
    # it is the loss of these pairs, and nothing is measured where it is null
    assert trainer.validator.measure(trainer.engine) == logged[-1][1]
    assert prepare(paths, tmp_path / "b", pretrain={"validation": None}).validator is None


def test_pairs_that_are_not_there_are_asked_of_build(paths: Paths, tmp_path: Path) -> None:
    write_rows(paths.mic / "pretrain_val.parquet", [], Sample)
    settings = {"every": 2, "patience": None, "keep": "best"}
    with pytest.raises(DataError, match=r"pretrain_val.parquet: .*no samples; look at build.val"):
        prepare(paths, tmp_path / "run", pretrain={"validation": settings})
