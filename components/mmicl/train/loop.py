"""The training loop of both stages, on one rank."""

import math
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import torch.distributed as dist
from safetensors.torch import load_file

from mmicl.config import Launch, Training
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
    drop_later,
    read_curve,
    write_curve,
)
from mmicl.train.operations import count_step
from mmicl.train.schedule import learning_rate
from mmicl.train.skips import Skips
from mmicl.train.state import load_state, save_state
from mmicl.train.trace import StepTrace
from mmicl.train.validation import BEST, LAST, Validator, link_best, save_weights

if TYPE_CHECKING:
    from deepspeed import DeepSpeedEngine

    from mmicl.train.batches import BatchMaker, StepBatch

METRIC_POINTS = 100
"""Throughput reports of a whole run, at the most."""
CURVE = "curve.csv"
METERS = "meters.jsonl"


@dataclass
class Trainer:
    """One training stage on one rank.

    `names` are the trained parameters, `facts` what a checkpoint must have in common with this run
    to be continued, `log` receives metrics and the step (rank 0 only).
    """

    engine: "DeepSpeedEngine"
    batches: "BatchMaker"
    validator: Validator | None
    training: Training
    launch: Launch
    seed: int
    run_folder: Path
    names: list[str]
    facts: dict[str, Any]
    progress: Progress
    log: Callable[[dict[str, float], int], None]
    curve: list[CurveRow] = field(default_factory=list)
    truncated: int = 0
    started_from: int = 0
    """Steps that an earlier try had done."""

    def __post_init__(self) -> None:
        log = self.run_folder / "skipped.jsonl"
        self.skips = Skips(self.training.max_skipped, self.progress.stage, log)

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
            The trained parameters by name, on rank 0; those of the lowest validation loss where
            that is wanted. Nothing on the other ranks.

        Raises:
            DataError: The loss or the gradient is not finite in too many steps in a row (names the
                samples), or a sample cannot be used.
        """
        self.started_from = start = self._resume()
        meter = Throughput(self.launch.peak_tflops)
        trace = StepTrace(self.run_folder, self.launch.profile_steps if self.rank == 0 else None)
        every = max(1, self.training.steps // METRIC_POINTS)
        steps = range(start, self.training.steps)
        with closing(prefetch(self._make_batch, steps, self.launch.workers)) as ready:
            for step in steps:
                trace.before(step + 1)
                asked = time.monotonic()
                batch = next(ready)
                meter.add(batch, time.monotonic() - asked, self._count_operations(batch))
                self.truncated += batch.truncated
                row = self._train_step(step, batch)
                self.curve.append(row)
                self.progress.step(row, batch.samples)
                trace.after(row.step)
                if row.step % every == 0 or row.step == self.training.steps:
                    self._report(row, meter)
                if self._pause(row.step, meter):
                    break
        trace.end()
        tensors = gather_trained(self.engine, self.names)
        if self.rank != 0:
            return {}
        save_weights(self.run_folder / LAST, tensors)
        if self.validator is not None and self.validator.hands_on_best:
            return load_file(self.run_folder / BEST)
        return tensors

    def facts_of_result(self) -> dict[str, Any]:
        """What the record of the weights that `run` gave says of them."""
        losses = [row.loss for row in self.curve if math.isfinite(row.loss)]
        facts: dict[str, Any] = {
            "steps": len(self.curve),
            "skipped_steps": self.skips.total,
            "final_loss": losses[-1] if losses else None,
            "validation_loss": None,
            "truncated_targets": self.truncated,
        }
        if self.validator is not None:
            found = self.validator
            best = found.best_loss if found.hands_on_best else found.last_loss
            facts["validation_loss"] = best if best is None or math.isfinite(best) else None
            facts["best"] = {"step": found.best_step, "validation_loss": found.best_loss}
            facts["kept_step"] = found.best_step if found.hands_on_best else len(self.curve)
        return facts

    def _pause(self, step: int, meter: Throughput) -> bool:
        """Validate and write a checkpoint where they are due; whether training ends early."""
        paused, last = time.monotonic(), step == self.training.steps
        if self.validator is not None and (last or step % self.validator.settings.every == 0):
            self._validate(self.validator, step)
            if self.validator.exhausted and not last:
                self.progress.say(
                    f"ends at step {step}: no lower validation loss than that of step "
                    f"{self.validator.best_step} for {self.validator.waited} validations"
                )
                return True
        # before the optimizer's first step there is nothing to save
        if step % self.launch.checkpoint_every == 0 and not last and self.skips.total < step:
            self._checkpoint(step)
        meter.exclude(time.monotonic() - paused)
        return False

    def _count_operations(self, batch: "StepBatch") -> int:
        """This rank's operations in a step, where they are to be set beside a peak."""
        if self.launch.peak_tflops is None:
            return 0
        return count_step(blip2_of(self.engine), batch.micro_batches).total

    def _make_batch(self, step: int) -> "StepBatch":
        return self.batches.make_step(self.seed, step, self.training.global_batch)

    def _train_step(self, step: int, batch: "StepBatch") -> CurveRow:
        """Forward and backward over the micro batches, then one update if all of it is finite."""
        loss, bad = self._accumulate(batch)
        rate = learning_rate(step, self.training)
        norm = take_step(self.engine, rate)
        if math.isfinite(loss) and math.isfinite(norm):
            self.skips.clear()
        else:
            named = "gradient" if math.isfinite(loss) else "loss"
            own = [name for micro in batch.micro_batches for name in micro.names]
            self.progress.say(self.skips.add(step + 1, named, bad if named == "loss" else own))
        return CurveRow(step + 1, loss, rate, norm, batch.padding_share)

    def _accumulate(self, batch: "StepBatch") -> tuple[float, list[str]]:
        """Gradients of the whole batch.

        Returns:
            The mean loss of a target token over all ranks, and the ids of this rank's samples whose
            loss is not finite.
        """
        ranks = dist.get_world_size()
        total = torch.zeros((), dtype=torch.float64, device=self.device)
        finite: list[torch.Tensor] = []
        for micro in batch.micro_batches:
            self.engine.set_gradient_accumulation_boundary(micro is batch.micro_batches[-1])
            losses = self.engine(micro.to(self.device))
            total += losses.detach().double().sum()
            finite.append(torch.isfinite(losses.detach()))
            # DeepSpeed divides by ranks; the loss is a mean over target tokens.
            summed = losses.sum() / batch.target_tokens * ranks
            # An infinite loss may have a finite gradient, and would be learned from. Whether there
            # is one is not looked at before the last micro-batch: a GPU would run dry at each.
            self.engine.backward(summed * torch.where(finite[-1].all(), 1.0, torch.nan))
        dist.all_reduce(total)
        names = [name for micro in batch.micro_batches for name in micro.names]
        good = torch.cat(finite).tolist()
        bad = [name for name, known in zip(names, good, strict=True) if not known]
        return float(total) / batch.target_tokens, bad

    def _report(self, row: CurveRow, meter: Throughput) -> None:
        """Throughput to meters.jsonl, everything to the tracker."""
        rates = meter.report()
        if self.rank == 0:
            append_meters(self.run_folder / METERS, row.step, rates)
            write_curve(self.run_folder / CURVE, self.curve)
            values = {
                "loss": row.loss,
                "learning_rate": row.learning_rate,
                "grad_norm": row.grad_norm,
                "padding_share": row.padding_share,
            }
            self.log({**values, **rates}, row.step)

    def _validate(self, validator: Validator, step: int) -> None:
        """Measure the validation loss; keep the weights where they are the best so far."""
        loss = validator.measure(self.engine)
        self.progress.say(f"step {step}/{self.training.steps}, validation loss {loss:.4f}")
        if self.rank == 0:
            self.log({"validation_loss": loss}, step)
        if validator.note(step, loss):
            tensors = gather_trained(self.engine, self.names)
            if self.rank == 0:
                save_weights(self.run_folder / BEST, tensors)

    def _checkpoint(self, step: int) -> None:
        """Write a checkpoint: all ranks their parts, rank 0 the completion record.

        One that cannot be written (a full disk) is removed, and the error goes on.
        """
        if self.rank == 0:
            checkpoints.begin_checkpoint(self.run_folder, step)
        dist.barrier()
        folder = checkpoints.writing_folder(self.run_folder, step)
        try:
            save_state(self.engine, self.names, folder, self.rank)
            if self.rank == 0:
                self._save_progress(folder)
            dist.barrier()
            if self.rank == 0:
                keep = self.launch.keep_checkpoints
                checkpoints.complete_checkpoint(self.run_folder, step, self.facts, keep)
        except Exception:
            if self.rank == 0:
                checkpoints.remove_unfinished(self.run_folder)
            raise
        dist.barrier()

    def _save_progress(self, folder: Path) -> None:
        """What a run must know of its past, beside weights, moments and random numbers."""
        write_curve(folder / CURVE, self.curve)
        state = {"truncated": self.truncated, **self.skips.state()}
        if self.validator is not None:
            state["validation"] = self.validator.state()
            if self.validator.has_best:
                link_best(self.run_folder, folder)
        write_json(folder / "state.json", state)

    def _resume(self) -> int:
        """Load the newest whole checkpoint; returns the steps done."""
        found = torch.full((), -1, dtype=torch.int64, device=self.device)
        if self.rank == 0:
            step = checkpoints.find_checkpoint(self.run_folder, self.facts, self.progress.say)
            found.fill_(-1 if step is None else step)
        dist.broadcast(found, 0)
        step = int(found)
        if self.rank == 0:
            for lines in (self.run_folder / METERS, self.skips.log):
                drop_later(lines, max(0, step))
        if step < 0:
            return 0
        folder = checkpoints.step_folder(self.run_folder, step)
        state = read_json(folder / "state.json")
        self.truncated = state["truncated"]
        self.skips.restore(state)
        load_state(self.engine, self.names, folder, self.rank, step - self.skips.total)
        set_training(self.engine, True)
        self.curve = read_curve(folder / CURVE)
        if self.validator is not None:
            self.validator.restore(state["validation"])
            if self.validator.has_best and self.rank == 0:
                link_best(folder, self.run_folder)
        self.progress.say(f"going on from step {step}")
        return step
