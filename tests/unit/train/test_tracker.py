"""Tracking runs beside training: everything arrives, nothing waits, failures are said."""

import time

from mmicl.train.tracker import Tracker


class SlowRun:
    """A run that takes its time, like one on a busy database."""

    def __init__(self) -> None:
        self.logged: list[tuple[int, float]] = []
        self.closed = False

    def log_metrics(self, metrics: dict[str, float], step: int) -> None:
        time.sleep(0.01)
        self.logged.append((step, metrics["loss"]))

    def close(self) -> None:
        self.closed = True


def test_everything_arrives_in_order_and_logging_does_not_wait() -> None:
    run = SlowRun()
    with Tracker(lambda: run, print) as tracker:
        started = time.monotonic()
        for step in range(20):
            tracker.log({"loss": step / 2}, step)
        assert time.monotonic() - started < 0.1
    assert run.logged == [(step, step / 2) for step in range(20)]
    assert run.closed


def test_a_failure_is_said_once_and_training_goes_on() -> None:
    said: list[str] = []

    def fail() -> SlowRun:
        raise OSError("database is locked")

    with Tracker(fail, said.append) as tracker:
        for step in range(3):
            tracker.log({"loss": 0.0}, step)
    assert said == ["tracking stopped (OSError: database is locked); training goes on"]
