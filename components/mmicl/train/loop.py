"""The training loop of both stages, on one rank."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
import torch.distributed as dist

from mmicl.config import Launch, Training
from mmicl.errors import DataError
from mmicl.files import read_json, write_json
from mmicl.model.prefetch import prefetch
from mmicl.train import checkpoints
from mmicl.train.engine import (
    blip2_of,
    gather_trained,
    set_training,
    take_step,
)
from mmicl.train.meters import (
    CurveRow,
    Progress,
    Throughput,
    append_meters,
    read_curve,
    write_curve,
)
from mmicl.train.schedule import learning_rate
from mmicl.train.state import load_state, save_state

if TYPE_CHECKING:
    from deepspeed import DeepSpeedEngine

    from mmicl.train.batches import BatchMaker, StepBatch
    from mmicl.train.engine import LossModel

METRIC_POINTS = 100
"""Throughput reports of a whole run, at the most."""
CURVE = "curve.csv"


class PeerError(Exception):
    """Another rank has met an error, and says which."""


@dataclass
class Trainer:
    """One training stage on one rank.

    `names` are the trained parameters, `facts` what a checkpoint must have in common with this run
    to be continued, `log` receives metrics and the step (rank 0 only).
    """

    engine: "DeepSpeedEngine"
    batches: "BatchMaker"
    validation: "BatchMaker | None"
    training: Training
    launch: Launch
    seed: int
    run_folder: Path
    names: list[str]
    facts: dict[str, Any]
    progress: Progress
    log: Callable[[dict[str, float], int], None]
    curve: list[CurveRow] = field(default_factory=list)
    validation_loss: float | None = None
    """At the end; None without validation samples."""
    truncated: int = 0
    started_from: int = 0
    """Steps that an earlier try had done."""

    @property
    def rank(self) -> int:
        """This process's place among all."""
        return dist.get_rank()

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return next(blip2_of(self.engine).parameters()).device

    def run(self) -> dict[str, torch.Tensor]:
        """Train to the end, from the newest whole checkpoint if there is one.

        Returns:
            The trained parameters by name, on every rank.

        Raises:
            DataError: The loss is not finite (names the samples), or a sample cannot be used.
            PeerError: Another rank met the samples whose loss is not finite.
        """
        self.started_from = start = self._resume()
        meter = Throughput()
        every = max(1, self.training.steps // METRIC_POINTS)
        steps = range(start, self.training.steps)
        ready = prefetch(self._make_batch, steps, self.launch.workers)
        for step in steps:
            asked = time.monotonic()
            batch = next(ready)
            meter.add(batch, time.monotonic() - asked)
            self.truncated += batch.truncated
            row = self._train_step(step, batch)
            self.curve.append(row)
            self.progress.step(row, batch.samples)
            if row.step % every == 0 or row.step == self.training.steps:
                self._report(row, meter)
            if row.step % self.launch.checkpoint_every == 0 and row.step < self.training.steps:
                paused = time.monotonic()
                self._validate(row.step)
                self._checkpoint(row.step)
                meter.exclude(time.monotonic() - paused)
        self.validation_loss = self._validate(self.training.steps)
        return gather_trained(self.engine, self.names)

    def _make_batch(self, step: int) -> "StepBatch":
        return self.batches.make_step(self.seed, step, self.training.global_batch)

    def _train_step(self, step: int, batch: "StepBatch") -> CurveRow:
        """Forward and backward over the micro batches, then one update."""
        ranks = dist.get_world_size()
        total = torch.zeros((), dtype=torch.float64, device=self.device)
        bad: list[str] = []
        for micro in batch.micro_batches:
            self.engine.set_gradient_accumulation_boundary(micro is batch.micro_batches[-1])
            losses = self.engine(micro.to(self.device))
            total += losses.detach().double().sum()
            finite = torch.isfinite(losses.detach()).tolist()
            bad += [name for name, good in zip(micro.names, finite, strict=True) if not good]
            # DeepSpeed divides by ranks; the loss is a mean over target tokens.
            self.engine.backward(losses.sum() / batch.target_tokens * ranks)
        dist.all_reduce(total)
        loss = float(total) / batch.target_tokens
        if not math.isfinite(loss):
            self._refuse(step, sorted(set(bad)))
        rate = learning_rate(step, self.training)
        norm = take_step(self.engine, rate)
        return CurveRow(step + 1, loss, rate, norm, batch.padding_share)

    def _refuse(self, step: int, names: list[str]) -> None:
        """Stop because of a loss that is not finite."""
        if not names and dist.get_world_size() > 1:
            raise PeerError
        shown = ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
        raise DataError(
            f"the loss is not finite at step {step + 1}, for {shown or 'the sum of a batch'}",
            where=self.progress.stage,
            remedy=f"look at these samples, or lower {self.progress.stage}.learning_rate",
        )

    def _report(self, row: CurveRow, meter: Throughput) -> None:
        """Throughput to meters.jsonl, everything to the tracker."""
        rates = meter.report()
        if self.rank == 0:
            append_meters(self.run_folder / "meters.jsonl", row.step, rates)
            write_curve(self.run_folder / CURVE, self.curve)
            values = {
                "loss": row.loss,
                "learning_rate": row.learning_rate,
                "grad_norm": row.grad_norm,
                "padding_share": row.padding_share,
            }
            self.log({**values, **rates}, row.step)

    @torch.no_grad()
    def _validate(self, step: int) -> float | None:
        """Mean loss of a target token over the validation samples, which all ranks share."""
        if self.validation is None:
            return None
        set_training(self.engine, False)
        loss_model = cast("LossModel", self.engine.module)
        total = torch.zeros((), dtype=torch.float64, device=self.device)
        tokens, size = 0, self.training.global_batch
        for start in range(0, len(self.validation.samples), size):
            end = min(start + size, len(self.validation.samples))
            batch = self.validation.make(range(start, end))
            tokens += batch.target_tokens
            for micro in batch.micro_batches:
                total += loss_model(micro.to(self.device)).double().sum()
        set_training(self.engine, True)
        dist.all_reduce(total)
        loss = float(total) / tokens
        self.progress.say(f"step {step}/{self.training.steps}, validation loss {loss:.4f}")
        if self.rank == 0:
            self.log({"validation_loss": loss}, step)
        return loss

    def _checkpoint(self, step: int) -> None:
        """Write a checkpoint: all ranks their parts, rank 0 the completion record."""
        if self.rank == 0:
            checkpoints.begin_checkpoint(self.run_folder, step)
        dist.barrier()
        folder = checkpoints.writing_folder(self.run_folder, step)
        save_state(self.engine, self.names, folder, self.rank)
        if self.rank == 0:
            write_curve(folder / CURVE, self.curve)
            write_json(folder / "state.json", {"truncated": self.truncated})
        dist.barrier()
        if self.rank == 0:
            keep = self.launch.keep_checkpoints
            checkpoints.complete_checkpoint(self.run_folder, step, self.facts, keep)
        dist.barrier()

    def _resume(self) -> int:
        """Load the newest whole checkpoint; returns the steps done."""
        found = torch.full((), -1, dtype=torch.int64, device=self.device)
        if self.rank == 0:
            step = checkpoints.find_checkpoint(self.run_folder, self.facts, self.progress.say)
            found.fill_(-1 if step is None else step)
        dist.broadcast(found, 0)
        step = int(found)
        if step < 0:
            return 0
        folder = checkpoints.step_folder(self.run_folder, step)
        load_state(self.engine, self.names, folder, self.rank, step)
        set_training(self.engine, True)
        self.curve = read_curve(folder / CURVE)
        self.truncated = read_json(folder / "state.json")["truncated"]
        self.progress.say(f"going on from step {step}")
        return step
