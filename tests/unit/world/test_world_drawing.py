"""Drawing beside the writer: equal bytes from any number of processes, errors come through."""

import os
from pathlib import Path

import pytest
from test_world_formats import digest

from mmicl import world
from mmicl.errors import UserError
from mmicl.world.plan import Plan
from mmicl.world.writers.common import CHUNK, Studio


@pytest.mark.parametrize("name", ["coco", "nlvr2", "raven", "msrvtt_qa"])
def test_the_number_of_processes_changes_no_byte(name: str, tmp_path: Path) -> None:
    for processes in (1, 2):
        world.generate(name, {"n": 16, "seed": 7}, tmp_path / str(processes), processes)
    alone = digest(tmp_path / "1")
    assert alone
    assert alone == digest(tmp_path / "2")


def write_own_process(path: Path) -> None:
    path.write_text(str(os.getpid()), encoding="utf-8")


@pytest.mark.parametrize("number", [1, CHUNK, 2 * CHUNK + 1])
def test_all_is_done_in_other_processes_when_the_block_ends(number: int, tmp_path: Path) -> None:
    with Studio(2) as studio:
        for index in range(number):
            studio.do(write_own_process, tmp_path / str(index))
    found = [int(path.read_text(encoding="utf-8")) for path in tmp_path.iterdir()]
    assert len(found) == number
    assert os.getpid() not in found


def test_one_process_is_this_one(tmp_path: Path) -> None:
    with Studio(1) as studio:
        studio.do(write_own_process, tmp_path / "at once")
        assert int((tmp_path / "at once").read_text(encoding="utf-8")) == os.getpid()


def fail(path: Path) -> None:
    raise UserError("no place left", where=path.name)


@pytest.mark.parametrize("processes", [1, 2])
def test_an_error_comes_through_and_leaves_no_dataset(
    processes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(plan: Plan, folder: Path, studio: Studio) -> None:
        studio.do(write_own_process, folder / "fine")
        studio.do(fail, folder / "picture")

    monkeypatch.setitem(world.WRITERS, "broken", write)  # type: ignore[arg-type]
    with pytest.raises(UserError, match="picture: no place left"):
        world.generate("broken", {"n": 1, "seed": 0}, tmp_path / "broken", processes)
    assert list(tmp_path.iterdir()) == []
