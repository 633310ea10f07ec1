"""Work side by side: the same results in any number of processes, and errors come through."""

import os
import time
from pathlib import Path

import pytest

from mmicl.errors import DataError
from mmicl.processes import map_in_processes, map_on_gpus, run_apart, stream_in_processes

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


class Loading:
    """Work that keeps what its items took."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.loaded = folder, list[str]()

    def __call__(self, name: str, gpu: int) -> tuple[int, int, int]:
        (self.folder / name).touch()
        if name == "missing":
            raise DataError("a picture is missing", where="pope/test/3", remedy="fetch again")
        self.loaded.append(name)
        time.sleep(0.3)
        return os.getpid(), gpu, len(self.loaded)


def test_each_gpu_has_a_process_that_keeps_what_it_loads(tmp_path: Path) -> None:
    found = map_on_gpus(Loading(tmp_path), [*NAMES, "mme"], 2)
    assert list(found) == [*NAMES, "mme"]
    assert {gpu for _, gpu, _ in found.values()} == {0, 1}
    assert len({(pid, gpu) for pid, gpu, _ in found.values()}) == 2
    assert os.getpid() not in {pid for pid, _, _ in found.values()}
    assert max(loaded for _, _, loaded in found.values()) >= 2


def test_an_error_on_a_gpu_keeps_its_kind_and_leaves_the_rest(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="pope/test/3: a picture is missing; fetch again") as caught:
        map_on_gpus(Loading(tmp_path), ["missing", *map(str, range(40))], 2)
    assert caught.value.kind == "data"
    assert len(list(tmp_path.iterdir())) < 20


def test_what_runs_apart_is_another_process_and_its_error_comes_through(tmp_path: Path) -> None:
    pid, gpu, loaded = run_apart(Loading(tmp_path), "pope", 3)
    assert (gpu, loaded) == (3, 1)
    assert pid != os.getpid()
    with pytest.raises(DataError, match="a picture is missing"):
        run_apart(Loading(tmp_path), "missing", 0)


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
