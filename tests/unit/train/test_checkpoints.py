"""Checkpoints are whole or absent; the newest whole one of this very run is found."""

import json
from pathlib import Path

import pytest

from mmicl.train.checkpoints import (
    begin_checkpoint,
    complete_checkpoint,
    find_checkpoint,
    step_folder,
)

FACTS = {"processes": 1, "steps": 30}


def write(run: Path, step: int, keep: int = 2) -> Path:
    folder = begin_checkpoint(run, step)
    (folder / "engine").mkdir()
    (folder / "engine" / "weights.bin").write_bytes(bytes([step]) * 100)
    (folder / "random_0.json").write_text(json.dumps({"step": step}))
    return complete_checkpoint(run, step, FACTS, keep)


def find(run: Path, facts: dict[str, int] = FACTS) -> tuple[int | None, list[str]]:
    said: list[str] = []
    return find_checkpoint(run, facts, said.append), said


@pytest.fixture
def run(tmp_path: Path) -> Path:
    for step in (9, 10):
        write(tmp_path, step)
    return tmp_path


def test_the_newest_is_found_and_the_oldest_are_removed(run: Path) -> None:
    assert find(run) == (10, [])
    write(run, 100)
    assert find(run) == (100, [])
    assert sorted(path.name for path in run.glob("step_*")) == ["step_10", "step_100"]


def test_a_run_without_checkpoints_starts_anew(tmp_path: Path) -> None:
    assert find(tmp_path) == (None, [])


def flip(run: Path) -> None:
    path = step_folder(run, 10) / "engine" / "weights.bin"
    data = bytearray(path.read_bytes())
    data[50] ^= 1
    path.write_bytes(data)


def cut(run: Path) -> None:
    path = step_folder(run, 10) / "engine" / "weights.bin"
    path.write_bytes(path.read_bytes()[:50])


def lose(run: Path) -> None:
    (step_folder(run, 10) / "random_0.json").unlink()


def lose_record(run: Path) -> None:
    (step_folder(run, 10) / "complete.json").unlink()


def cut_record(run: Path) -> None:
    (step_folder(run, 10) / "complete.json").write_text('{"step": 10, "fil')


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (flip, "engine/weights.bin is damaged"),
        (cut, "engine/weights.bin has another size"),
        (lose, "random_0.json is missing"),
        (lose_record, "it has no completion record"),
        (cut_record, "not JSON"),
    ],
)
def test_a_damaged_one_is_passed_over_with_a_line(run: Path, damage, said: str) -> None:
    damage(run)
    step, lines = find(run)
    assert step == 9
    assert len(lines) == 1
    assert lines[0].startswith(f"passing over step_10: {said}")


def test_one_that_was_being_written_does_not_count(run: Path) -> None:
    folder = begin_checkpoint(run, 11)
    (folder / "weights.bin").write_bytes(b"half")
    assert find(run) == (10, [])
    begin_checkpoint(run, 12)
    assert not folder.exists()


def test_a_damaged_one_is_replaced_when_its_step_comes_again(run: Path) -> None:
    flip(run)
    write(run, 10)
    assert find(run) == (10, [])


def test_one_of_other_hardware_is_passed_over(run: Path) -> None:
    step, lines = find(run, {"processes": 2, "steps": 30})
    assert step is None
    assert lines[0] == "passing over step_10: written with processes 1, this run has 2"


def test_a_damaged_later_one_pushes_no_whole_one_out(tmp_path: Path) -> None:
    # It was passed over when the run went on, and hardware that changed writes others before it.
    for step in (9, 12):
        write(tmp_path, step)
    (step_folder(tmp_path, 12) / "complete.json").unlink()
    write(tmp_path, 11, keep=1)
    step, lines = find(tmp_path)
    assert step == 11
    assert len(lines) == 1
    assert not step_folder(tmp_path, 9).exists()
