"""Work side by side: the same results in any number of processes, and errors come through."""

import os

import pytest

from mmicl.errors import DataError
from mmicl.supervision import map_in_processes

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
