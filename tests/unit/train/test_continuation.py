"""A run goes on from another's checkpoint where code alone differs, and says so."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mmicl.errors import UserError
from mmicl.files import read_json
from mmicl.lineage import Inputs
from mmicl.paths import Paths
from mmicl.train.checkpoints import begin_checkpoint, complete_checkpoint, find_checkpoint
from mmicl.train.continuation import CONTINUED, continue_run, read_continued

FACTS = {"steps": 30}
DEPS = {"components/mmicl/train": "1", "data/mic/pretrain.parquet": "a"}
BEFORE = Inputs("sh infra/stage.sh pretrain", DEPS, {"seed": 1, "pretrain": {"steps": 30}})
NOW = replace(BEFORE, deps=DEPS | {"components/mmicl/train": "2"})


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths(tmp_path, tmp_path / "state")


def train(paths: Paths, inputs: Inputs, *steps: int) -> Path:
    """A run that was cut off behind its checkpoints."""
    folder = paths.run("pretrain", inputs.fingerprint)
    inputs.keep(folder)
    for step in steps:
        (begin_checkpoint(folder, step) / "weights.bin").write_bytes(bytes([step]) * 10)
        complete_checkpoint(folder, step, FACTS, keep=2)
    return folder


def go_on(paths: Paths, inputs: Inputs = NOW, source: str | None = None) -> dict[str, Any]:
    return continue_run(paths, "pretrain", inputs, source, "revision")


def test_the_newest_whole_checkpoint_is_taken_and_noted(paths: Paths) -> None:
    earlier = train(paths, BEFORE, 10, 20)
    (earlier / "step_20" / "weights.bin").write_bytes(b"damaged")
    told = go_on(paths)
    assert told == {
        "from": BEFORE.fingerprint, "step": 10, "code": ["components/mmicl/train"],
        "revision": "revision",
    }  # fmt: skip
    target = paths.run("pretrain", NOW.fingerprint)
    assert find_checkpoint(target, FACTS, lambda _: None) == 10
    assert read_json(target / CONTINUED) == told
    assert read_continued(target) == {
        "continued_from": BEFORE.fingerprint, "continued_at": 10,
        "continued_over": "components/mmicl/train",
    }  # fmt: skip
    assert read_continued(earlier) == {}
    assert find_checkpoint(earlier, FACTS, lambda _: None) == 10  # it keeps its own


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"params": {"seed": 2, "pretrain": {"steps": 30}}}, "params seed"),
        ({"deps": DEPS | {"data/mic/pretrain.parquet": "b"}}, "data/mic/pretrain.parquet"),
        ({"command": "sh other.sh"}, "command"),
    ],
)
def test_a_run_of_other_data_or_params_is_refused(
    paths: Paths, changed: dict[str, Any], named: str
) -> None:
    other = replace(BEFORE, **changed)
    train(paths, other, 10)
    message = rf"differs in code alone \({other.fingerprint[:12]} differs in {named}\)"
    with pytest.raises(UserError, match=message):
        go_on(paths)


def test_a_run_that_has_begun_by_itself_is_left_alone(paths: Paths) -> None:
    train(paths, BEFORE, 10)
    train(paths, NOW, 5)
    with pytest.raises(UserError, match="pretrain: has begun by itself"):
        go_on(paths)


def test_a_run_can_be_named(paths: Paths) -> None:
    other = replace(BEFORE, deps=DEPS | {"components/mmicl/train": "0"})
    train(paths, BEFORE, 10)
    train(paths, other, 20)
    assert go_on(paths, source=BEFORE.fingerprint[:8])["from"] == BEFORE.fingerprint
    with pytest.raises(UserError, match="build: has no checkpoints"):
        continue_run(paths, "build", NOW, None, "")
