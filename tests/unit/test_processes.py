"""Work side by side: the same results in any number of processes, and errors come through."""

import os
import time
from pathlib import Path

import pytest

from mmicl.errors import DataError
from mmicl.processes import map_in_processes, stream_in_processes

NAMES = ["vqav2", "pope", "raven"]


@pytest.mark.parametrize("processes", [1, 2, 5])
def test_results_are_those_of_each_name_in_order(processes: int) -> None:
    shift = 7  # a function of a function, as the stage has it
    found = map_in_processes(lambda name: len(name) + shift, NAMES, processes)
    assert list(found.items()) == [("vqav2", 12), ("pope", 11), ("raven", 12)]


def test_two_processes_do_the_work() -> None:
    found = map_in_processes(lambda _: os.getpid(), NAMES, 2)
    assert os.getpid() not in found.values()


def test_one_process_is_this_one() -> None:
    assert set(map_in_processes(lambda _: os.getpid(), NAMES, 1).values()) == {os.getpid()}


def test_an_error_keeps_its_kind_and_its_line() -> None:
    def fail(name: str) -> int:
        if name == "pope":
            raise DataError("a picture is missing", where="pope/test/3", remedy="fetch again")
        return 1

    with pytest.raises(DataError, match="pope/test/3: a picture is missing; fetch again") as caught:
        map_in_processes(fail, NAMES, 2)
    assert caught.value.kind == "data"


def test_no_more_is_begun_than_may_wait(tmp_path: Path) -> None:
    def note(number: int) -> int:
        (tmp_path / str(number)).touch()
        time.sleep(0.2 * (number == 0))  # the first is the last to end
        return number

    begun, found = [], []
    for value in stream_in_processes(note, range(20), 2, ahead=3):
        found.append(value)
        begun.append(len(list(tmp_path.iterdir())))
    assert found == list(range(20))
    assert all(many <= place + 3 for place, many in enumerate(begun, start=1))


def test_a_stream_that_is_left_begins_no_more(tmp_path: Path) -> None:
    stream = stream_in_processes(lambda n: (tmp_path / str(n)).touch(), range(50), 2, ahead=4)
    next(stream)
    stream.close()
    assert len(list(tmp_path.iterdir())) <= 5
