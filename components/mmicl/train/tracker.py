"""Metrics to the stage's MLflow run while it trains, without making training wait."""

import queue
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Literal, Protocol, Self

Status = Literal["FINISHED", "FAILED"]


class StageRun(Protocol):
    """What `mmicl.tracking.open_stage_run` gives."""

    def log_metrics(self, metrics: dict[str, float], step: int) -> None:
        """Log values at a step."""
        ...

    def close(self, status: Status = "FINISHED") -> None:
        """End the run as FINISHED or FAILED."""
        ...


class Tracker:
    """Opens a run and logs to it in a thread of its own.

    Importing MLflow takes seconds and a write some milliseconds; neither holds a step up. Tracking
    that fails is said once and stops: what trains goes on, and `tracking.sync` writes it later.

    Args:
        open_run: Called once, in the thread.
        say: Told when tracking fails.
    """

    def __init__(self, open_run: Callable[[], StageRun], say: Callable[[str], None]) -> None:
        self._open, self._say = open_run, say
        self._queue: queue.Queue[tuple[dict[str, float], int] | None] = queue.Queue()
        self._status: Status = "FINISHED"
        self._thread = threading.Thread(target=self._work, name="tracking", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._status = "FINISHED" if kind is None else "FAILED"
        self._queue.put(None)
        self._thread.join()

    def log(self, metrics: dict[str, float], step: int) -> None:
        """Log values at a step, soon."""
        self._queue.put((metrics, step))

    def _work(self) -> None:
        try:
            run = self._open()
            while (item := self._queue.get()) is not None:
                run.log_metrics(*item)
            run.close(self._status)
        except Exception as error:
            self._say(f"tracking stopped ({type(error).__name__}: {error}); training goes on")
