"""Blocks of training steps by the product's own Trainer, timed; and what the machine can do."""

import itertools
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch

from mmicl.config import Launch, Training
from mmicl.train.batches import BatchMaker, StepBatch
from mmicl.train.loop import Trainer
from mmicl.train.meters import Progress, peak_memory
from mmicl.train.operations import count_pass

FOLDER = Path("/dev/shm" if Path("/dev/shm").is_dir() else "/tmp")  # noqa: S108
"""Of curves and meters: a step must not wait for a disk."""
MATRIX = {"cuda": 8192, "cpu": 1024}
COPIED = {"cuda": 2**31, "cpu": 2**28}
"""Sides of the matrices, and bytes, by which a device's rates are measured."""
SUSTAINED = 1.0
"""Seconds over which they are."""


@dataclass
class Side:
    """One of the two that are compared."""

    name: str
    model: Any
    engine: Any
    batches: BatchMaker
    training: Training
    launch: Launch
    beside: int = 0
    """Bytes on the GPU that the other side holds meanwhile."""


@dataclass(frozen=True)
class Block:
    """Some steps, the first (which warms up) left out."""

    steps: int
    seconds: float
    samples: int
    images: int
    tokens: int
    """Of prompts and targets, without padding."""
    padding_share: float
    """Of prompt tokens."""
    wait_share: float
    """Of the time, spent waiting for data."""
    operations: int
    micro_batches: int
    peak_gib: float


class Recorder:
    """Hands a BatchMaker's batches on, and remembers their shapes by step."""

    def __init__(self, batches: BatchMaker) -> None:
        self.batches, self.samples = batches, batches.samples
        self.steps: dict[int, tuple[StepBatch, list[dict[str, Any]]]] = {}

    def make_step(self, seed: int, step: int, size: int) -> StepBatch:
        """As the BatchMaker's."""
        batch = self.batches.make_step(seed, step, size)
        shapes = []
        for micro in batch.micro_batches:
            # the reference has every image anew, in slots of which some are empty
            pictures = micro.slots if hasattr(micro, "filled") else micro.visual
            shape = {
                "rows": len(micro.input_ids),
                "tokens": micro.input_ids.shape[1],
                "targets": micro.labels.shape[1],
                "images": len(micro.slots),
                "encoded": len(pictures) if micro.visual.ndim > 3 else 0,
            }
            shapes.append(shape)
        facts = StepBatch([], *(getattr(batch, name) for name in _COUNTS))
        self.steps[step] = facts, shapes
        return batch


_COUNTS = ("samples", "images", "tokens", "target_tokens", "padding_share", "truncated")


def run_block(side: Side, steps: int, seed: int) -> Block:
    """Train some steps, and one before them that does not count."""
    recorder = Recorder(side.batches)
    ended: list[float] = []
    waits: list[float] = []

    def log(values: dict[str, float], step: int) -> None:
        ended.append(time.perf_counter())
        waits.append(values["data_wait_share"])

    folder = FOLDER / f"bench-{side.name}-{time.monotonic_ns()}"
    folder.mkdir()
    trainer = Trainer(
        engine=side.engine,
        batches=cast("BatchMaker", recorder),
        validator=None,
        training=side.training.model_copy(update={"steps": steps + 1}),
        launch=side.launch,
        seed=seed,
        run_folder=folder,
        names=[],  # nothing is to be gathered at the end
        facts={},
        progress=Progress("bench", steps + 1, speaking=False),
        log=log,
    )
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    trainer.run()
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    return _sum_up(side, recorder, ended, waits)


def _sum_up(side: Side, recorder: Recorder, ended: list[float], waits: list[float]) -> Block:
    seconds = ended[-1] - ended[0]
    spans = [after - before for before, after in itertools.pairwise(ended)]
    counted = [recorder.steps[step] for step in sorted(recorder.steps)[1:]]
    facts = [batch for batch, _ in counted]
    shapes = [shape for _, batch in counted for shape in batch]
    return Block(
        steps=len(counted),
        seconds=seconds,
        samples=sum(batch.samples for batch in facts),
        images=sum(batch.images for batch in facts),
        tokens=sum(batch.tokens for batch in facts),
        padding_share=statistics.mean(batch.padding_share for batch in facts),
        wait_share=sum(share * span for share, span in zip(waits[1:], spans, strict=True))
        / seconds,
        operations=sum(count_pass(side.model, **shape).total for shape in shapes),
        micro_batches=len(shapes),
        peak_gib=peak_memory() / 1024 - side.beside / 2**30,
    )


def held_memory() -> int:
    """Bytes on the GPU that are in use between steps; 0 without one."""
    return torch.cuda.memory_allocated() if torch.cuda.is_available() else 0


def measure_batch_seconds(side: Side, batches: int = 2) -> float:
    """Seconds of one core that a global batch takes to make."""
    started = time.perf_counter()
    for step in range(batches):
        side.batches.make_step(987, step, side.training.global_batch)
    return (time.perf_counter() - started) / batches


def measure_matrix_rate(device: torch.device, dtype: torch.dtype) -> float:
    """Operations a second of one large product of random matrices."""
    size = MATRIX[device.type]
    left, right = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
    return 2 * size**3 / _time(lambda: left @ right, device)


def measure_copy_rate(device: torch.device) -> float:
    """Bytes a second, read and written, of a copy within the device's memory."""
    source = torch.ones(COPIED[device.type], dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    return 2 * len(source) / _time(lambda: target.copy_(source), device)


def _time(action: Callable[[], Any], device: torch.device) -> float:
    """Seconds of an action, the mean over a second of them, after three that do not count.

    A GPU is faster in its first milliseconds than what it keeps up.
    """
    for _ in range(3):
        action()
    _wait_for(device)
    repeats, started = 0, time.perf_counter()
    while (spent := time.perf_counter() - started) < SUSTAINED:
        for _ in range(10):
            action()
        _wait_for(device)
        repeats += 10
    return spent / repeats


def _wait_for(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def list_kernels(side: Side, rows: int = 25) -> str:
    """Where two steps spend the device's time, kernel by kernel; why not, where that fails."""
    gpu = torch.cuda.is_available()
    activity = torch.profiler.ProfilerActivity
    try:
        with torch.profiler.profile(activities=[activity.CUDA if gpu else activity.CPU]) as found:
            run_block(side, 1, seed=77)
        order = "self_device_time_total" if gpu else "self_cpu_time_total"
        return found.key_averages().table(order, row_limit=rows, max_name_column_width=70)
    except Exception as error:  # what was measured before must not be lost with it
        return f"no list of kernels: {error}\n"
