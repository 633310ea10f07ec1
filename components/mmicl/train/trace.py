"""A trace of some steps by torch's profiler, to be opened in Perfetto or chrome://tracing."""

from pathlib import Path
from typing import TYPE_CHECKING

import torch

from mmicl.paths import TRACE

if TYPE_CHECKING:
    from torch.profiler import profile


class StepTrace:
    """Records operators and kernels, with the shapes of their inputs, while given steps run.

    Args:
        run_folder: Gets TRACE when the last of the steps is done; a run that is cut off before has
            none.
        steps: First step (from 1) and number of steps; None records nothing.
    """

    def __init__(self, run_folder: Path, steps: list[int] | None) -> None:
        self.path = run_folder / TRACE
        self.first, self.last = (0, 0) if steps is None else (steps[0], steps[0] + steps[1] - 1)
        self._running: profile | None = None

    def before(self, step: int) -> None:
        """Call before a step (from 1) waits for its data."""
        if step == self.first:
            from torch.profiler import ProfilerActivity, profile

            activities = [ProfilerActivity.CPU]
            if torch.cuda.is_available():
                activities.append(ProfilerActivity.CUDA)
            self._running = profile(activities=activities, record_shapes=True)
            self._running.start()

    def after(self, step: int) -> None:
        """Call after a step."""
        if step == self.last:
            self.end()

    def end(self) -> None:
        """Write the trace if it is still being recorded; call after the last step."""
        if self._running is not None:
            self._running.stop()
            self._running.export_chrome_trace(str(self.path))
            self._running = None
