"""What a run says of itself: the curve (deterministic), throughput (not), and progress lines."""

import csv
import io
import json
import sys
import time
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from mmicl.errors import DataError
from mmicl.files import write_text

if TYPE_CHECKING:
    from mmicl.train.batches import StepBatch

SECONDS_BETWEEN_LINES = 5.0


@dataclass(frozen=True)
class CurveRow:
    """One step of the curve; equal runs have equal rows, to the last digit."""

    step: int
    loss: float
    """Mean cross-entropy of a target token, in nats, and in stage I the weighted contrast."""
    learning_rate: float
    grad_norm: float
    """Before clipping."""
    padding_share: float


def write_curve(path: Path, rows: list[CurveRow]) -> None:
    """Write a curve as CSV, with all digits."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([item.name for item in fields(CurveRow)])
    writer.writerows([repr(value) for value in asdict(row).values()] for row in rows)
    write_text(path, text.getvalue())


def read_curve(path: Path) -> list[CurveRow]:
    """Read what `write_curve` wrote.

    Raises:
        DataError: The file is missing or not a curve.
    """
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            return [
                CurveRow(
                    int(row.pop("step")), **{name: float(value) for name, value in row.items()}
                )
                for row in csv.DictReader(stream)
            ]
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise DataError(f"not a curve ({error})", where=path) from None


@dataclass
class Throughput:
    """Counts since the last report.

    Args:
        peak_tflops: Of this rank's device; None leaves MFU out.
    """

    peak_tflops: float | None = None
    samples: int = 0
    images: int = 0
    tokens: int = 0
    waited: float = 0.0
    """Seconds that the step waited for its data."""
    operations: int = 0
    """Of this rank."""
    prompt_tokens: int = 0
    computed_tokens: int = 0
    """Of prompts, padding included."""
    since: float = field(default_factory=time.monotonic)

    def add(self, batch: "StepBatch", waited: float, operations: int = 0) -> None:
        """Count a step: its batch, seconds waited for it, this rank's operations."""
        self.samples += batch.samples
        self.images += batch.images
        self.tokens += batch.tokens
        prompts = batch.tokens - batch.target_tokens
        self.prompt_tokens += prompts
        self.computed_tokens += round(prompts / (1 - batch.padding_share))
        self.waited += waited
        self.operations += operations

    def exclude(self, seconds: float) -> None:
        """Leave out time that went into something else, such as a checkpoint."""
        self.since += seconds

    def report(self) -> dict[str, float]:
        """Rates since the last report, and begin anew.

        Counts, and the share of padding among prompt tokens, are those of all ranks; wait, memory
        and MFU (operations a second as a share of the peak) those of this one.
        """
        now = time.monotonic()
        seconds = max(now - self.since, 1e-9)
        rates = {
            "samples_per_second": self.samples / seconds,
            "images_per_second": self.images / seconds,
            "tokens_per_second": self.tokens / seconds,
            "data_wait_share": self.waited / seconds,
            "mean_padding_share": 1 - self.prompt_tokens / max(1, self.computed_tokens),
            "peak_memory_mib": peak_memory(),
        }
        if self.peak_tflops is not None:
            rates["mfu"] = self.operations / seconds / (self.peak_tflops * 1e12)
        self.samples = self.images = self.tokens = self.operations = 0
        self.prompt_tokens = self.computed_tokens = 0
        self.waited, self.since = 0.0, now
        return rates


def peak_memory() -> float:
    """The most memory this process held, in MiB; on the accelerator where there is one."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 2**20
    # Not getrusage: there a process begins with the peak of the one that started it.
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def append_meters(path: Path, step: int, values: dict[str, float]) -> None:
    """Append a report to meters.jsonl."""
    with path.open("a", encoding="utf-8") as stream:
        stream.write(json.dumps({"step": step, **values}, sort_keys=True) + "\n")


def drop_later(path: Path, step: int) -> None:
    """Take lines of later steps out of a file of JSON lines: a run that goes on writes them anew.

    A line that was cut while it was written counts as later.
    """
    if not path.exists():
        return

    def is_kept(line: bytes) -> bool:
        try:
            return json.loads(line)["step"] <= step
        except ValueError:  # not JSON, or cut within a character
            return False

    kept = filter(is_kept, path.read_bytes().split(b"\n"))
    write_text(path, "".join(f"{line.decode()}\n" for line in kept))


class Progress:
    """Lines for a person, on rank 0: one every few seconds, and whatever must be said.

    Args:
        stage: Begins every line.
        steps: Of the run.
        speaking: False on the other ranks.
    """

    def __init__(self, stage: str, steps: int, speaking: bool) -> None:
        self.stage, self.steps, self.speaking = stage, steps, speaking
        self._last = self._started = time.monotonic()
        self._first: int | None = None
        self._samples = 0

    def say(self, line: str) -> None:
        """Print one line."""
        if self.speaking:
            sys.stdout.write(f"{self.stage}: {line}\n")
            sys.stdout.flush()

    def step(self, row: CurveRow, samples: int) -> None:
        """Note a step; print a line when some seconds have passed, and at the end."""
        now = time.monotonic()
        if self._first is None:  # the first step warms up, and counts for no rate
            self._first, self._started, self._samples = row.step, now, 0
        else:
            self._samples += samples
        if now - self._last < SECONDS_BETWEEN_LINES and row.step < self.steps:
            return
        self._last = now
        done, seconds = row.step - self._first, now - self._started
        speed = f"{self._samples / seconds:.1f} samples/s, " if done else ""
        left = (self.steps - row.step) * seconds / done if done else 0.0
        eta = f"{speed}{_clock(left)} left" if done else "first step done"
        self.say(f"step {row.step}/{self.steps}, loss {row.loss:.4f}, {eta}")


def _clock(seconds: float) -> str:
    """Seconds as a person says them."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h{minutes:02d}m"
    return f"{minutes}m{rest:02d}s" if minutes else f"{rest}s"
