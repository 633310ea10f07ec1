"""A small training loop: AdamW, warm-up and cosine, checkpoints that a killed run goes on from.

Under torchrun each process takes its share of every batch, and gradients are averaged: at these
sizes two processes are nearly twice as fast as one, and two threads no faster at all.
"""

import json
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import torch
import torch.distributed as dist
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from mmicl.errors import DataError
from mmicl.files import replace_file

REPORT_EVERY = 50
SAVE_EVERY = 100
WARMUP = 0.05
CLIP = 1.0
MOMENTS = ("exp_avg", "exp_avg_sq")

AHEAD = 8
"""Steps that each worker makes ahead."""


class Task(Protocol):
    """Data and loss of each step."""

    def make(self, step: int) -> Any:
        """What the loss takes: a pure function of the step, with arrays in the place of tensors.

        Called in worker processes, whose tensors would each need a file descriptor.
        """
        ...

    def loss(self, step: int, batch: Any) -> tuple[Tensor, Mapping[str, Tensor]]:
        """The loss and figures worth reporting, by step, batch and weights alone."""
        ...


class Steps(Dataset[Any]):
    """The batches of a task by their step."""

    def __init__(self, task: Task) -> None:
        self.task = task

    def __getitem__(self, step: int) -> Any:
        """The batch of a step."""
        return self.task.make(step)


def load_batches(task: Task, start: int, steps: int, workers: int) -> Iterator[Any]:
    """The batches of the steps from `start` on, made ahead by so many processes (0: by none)."""
    loader = DataLoader(
        Steps(task), batch_size=None, sampler=range(start, steps), num_workers=workers,
        collate_fn=_leave, prefetch_factor=AHEAD if workers else None,
        multiprocessing_context="fork" if workers else None,
    )  # fmt: skip
    return iter(loader)


def _leave(batch: Any) -> Any:
    return batch


def train(
    module: nn.Module,
    task: Task,
    *,
    steps: int,
    learning_rate: float,
    weight_decay: float,
    checkpoint: Path,
    report: Callable[[str], None],
    save_every: int = SAVE_EVERY,
    workers: int = 0,
) -> float:
    """Train a module's parameters, from the checkpoint on where there is one.

    Returns:
        Seconds spent in training, over all tries.

    Raises:
        DataError: The checkpoint belongs to another number of steps or to other parameters.
    """
    parameters = {name: value for name, value in module.named_parameters() if value.requires_grad}
    optimizer = torch.optim.AdamW(
        parameters.values(), lr=learning_rate, betas=(0.9, 0.98), weight_decay=weight_decay,
        fused=next(iter(parameters.values())).is_cuda,
    )  # fmt: skip
    schedule = {"steps": steps, "learning_rate": learning_rate, "weight_decay": weight_decay}
    start, spent = restore(checkpoint, parameters, optimizer, schedule)
    began = time.monotonic() - spent
    sums: dict[str, Tensor] = {}
    for step, batch in enumerate(load_batches(task, start, steps, workers), start):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate * scale_rate(step, steps)
        loss, figures = task.loss(step, batch)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        average_gradients(parameters.values())
        nn.utils.clip_grad_norm_(parameters.values(), CLIP)
        optimizer.step()
        for name, value in {"loss": loss.detach(), **figures}.items():
            sums[name] = sums.get(name, 0.0) + value
        done = step + 1
        if find_share()[0]:
            continue  # the first process reports and saves for all
        if done % REPORT_EVERY == 0 or done == steps:
            count = min(REPORT_EVERY, done - start)
            told = " ".join(f"{name} {float(value) / count:.4f}" for name, value in sums.items())
            report(f"step {done}/{steps} {told} {time.monotonic() - began:.0f} s")
            sums = {}
        if done % save_every == 0 or done == steps:
            save(checkpoint, parameters, optimizer, schedule, done, time.monotonic() - began)
    return time.monotonic() - began


def find_share() -> tuple[int, int]:
    """This process's number and how many there are: item k of a batch is for process k mod n."""
    return (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)


def average_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Give every process the mean of all processes' gradients."""
    if not dist.is_initialized():
        return
    found = [value.grad for value in parameters if value.grad is not None]
    flat = torch.cat([gradient.flatten() for gradient in found])
    dist.all_reduce(flat)
    flat /= dist.get_world_size()
    for gradient, mean in zip(found, flat.split([one.numel() for one in found]), strict=True):
        gradient.copy_(mean.view_as(gradient))


def scale_rate(step: int, steps: int) -> float:
    """Linear warm-up over the first WARMUP of the steps, then half a cosine to zero."""
    warmup = max(1, round(WARMUP * steps))
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))


def save(
    path: Path,
    parameters: Mapping[str, nn.Parameter],
    optimizer: torch.optim.AdamW,
    schedule: Mapping[str, Any],
    step: int,
    seconds: float,
) -> None:
    """Write weights and moments, whole or not at all."""
    tensors: dict[str, Tensor] = {}
    for name, value in parameters.items():
        tensors[f"weight.{name}"] = value.detach().clone()
        for moment in MOMENTS:
            tensors[f"{moment}.{name}"] = optimizer.state[value][moment]
    told = {"schedule": json.dumps(schedule), "step": str(step), "seconds": str(seconds)}
    with replace_file(path) as temporary:
        save_file(tensors, temporary, metadata=told)


def restore(
    path: Path,
    parameters: Mapping[str, nn.Parameter],
    optimizer: torch.optim.AdamW,
    schedule: Mapping[str, Any],
) -> tuple[int, float]:
    """Put a checkpoint's weights and moments back; the steps done and seconds spent (0: none)."""
    if not path.exists():
        return 0, 0.0
    with safe_open(path, framework="pt") as opened:
        told = opened.metadata()
        if json.loads(told["schedule"]) != dict(schedule):
            raise DataError("made under another schedule", where=path, remedy="remove it")
        names = {name.removeprefix("weight.") for name in opened.keys() if name[:7] == "weight."}  # noqa: SIM118
        if names != set(parameters):
            raise DataError("made for other parameters", where=path, remedy="remove it")
        step = int(told["step"])
        with torch.no_grad():
            for name, value in parameters.items():
                value.copy_(opened.get_tensor(f"weight.{name}"))
                optimizer.state[value] = {
                    "step": torch.tensor(float(step), device=value.device),
                    **{
                        moment: opened.get_tensor(f"{moment}.{name}").to(value.device)
                        for moment in MOMENTS
                    },
                }
    return step, float(told["seconds"])
