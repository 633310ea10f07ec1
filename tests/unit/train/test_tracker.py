"""Tracking runs beside training: everything arrives, nothing waits, failures are said."""

import threading

import pytest

from mmicl.train.tracker import Status, Tracker


class BlockedRun:
    """A run whose database is busy until it is let go."""

    def __init__(self) -> None:
        self.logged: list[tuple[int, float]] = []
        self.status = "RUNNING"
        self.free = threading.Event()

    def log_metrics(self, metrics: dict[str, float], step: int) -> None:
        assert self.free.wait(timeout=30)
        self.logged.append((step, metrics["loss"]))

    def close(self, status: Status = "FINISHED") -> None:
        self.status = status


def test_everything_arrives_in_order_and_logging_does_not_wait() -> None:
    run = BlockedRun()
    with Tracker(lambda: run, print) as tracker:
        for step in range(20):
            tracker.log({"loss": step / 2}, step)
        assert run.logged == []  # twenty calls came back while none was written
        run.free.set()
    assert run.logged == [(step, step / 2) for step in range(20)]
    assert run.status == "FINISHED"


def test_a_training_that_failed_is_no_finished_run() -> None:
    run = BlockedRun()
    run.free.set()
    with pytest.raises(ValueError, match="the loss"), Tracker(lambda: run, print) as tracker:
        tracker.log({"loss": 1.0}, 1)
        raise ValueError("the loss is not finite")
    assert run.logged == [(1, 1.0)]
    assert run.status == "FAILED"


def test_a_failure_is_said_once_and_training_goes_on() -> None:
    said: list[str] = []

    def fail() -> BlockedRun:
        raise OSError("database is locked")

    with Tracker(fail, said.append) as tracker:
        for step in range(3):
            tracker.log({"loss": 0.0}, step)
    assert said == ["tracking stopped (OSError: database is locked); training goes on"]
