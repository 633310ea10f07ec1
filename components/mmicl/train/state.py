"""What a run goes on from: whole tensors by name, so that another number of ranks can read them.

DeepSpeed's own checkpoints are one pickle a rank. Here the ranks put their shards together and rank
0 writes safetensors; every rank takes what is its own out of them.
"""

import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.distributed as dist
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional

from mmicl.files import read_json, write_json
from mmicl.train.engine import blip2_of

if TYPE_CHECKING:
    from deepspeed import DeepSpeedEngine

STATE = "state.safetensors"
MOMENTS = ("exp_avg", "exp_avg_sq")
"""Of AdamW; its step counts the optimizer's steps: the run's, but for those that were left out."""


def save_state(engine: "DeepSpeedEngine", names: Sequence[str], folder: Path, rank: int) -> None:
    """Write trained weights and moments, and this rank's random state; every rank must take part.

    Args:
        engine: After at least one step.
        names: The trained parameters.
        folder: Exists; gets STATE from rank 0, and `random_RANK.*` from each.
        rank: This one.
    """
    _link_moments(engine)
    tensors = {}
    for name, parameter in _choose_parameters(engine, names):
        for kind in ("weight", *MOMENTS):
            value = _gather(engine, parameter, kind)
            if rank == 0:
                tensors[f"{kind}.{name}"] = value.detach().float().cpu().clone()
    if rank == 0:
        save_file(tensors, folder / STATE)
    _save_random(folder, rank)


def load_state(
    engine: "DeepSpeedEngine", names: Sequence[str], folder: Path, rank: int, step: int
) -> None:
    """Put back what `save_state` wrote after `step` steps of the optimizer, on any number of ranks.

    A rank that has no random state of its own there keeps the one it started with.
    """
    import deepspeed

    _make_moments(engine, step)
    sharded = engine.zero_optimization_partition_weights()
    with safe_open(folder / STATE, framework="pt") as opened:
        for name, parameter in _choose_parameters(engine, names):
            for kind in MOMENTS:
                _scatter(engine, parameter, kind, opened.get_tensor(f"{kind}.{name}"))
            weight = opened.get_tensor(f"weight.{name}")
            _scatter(engine, parameter, "weight", weight)
            with (
                deepspeed.zero.GatheredParameters([parameter], modifier_rank=0, enabled=sharded),
                torch.no_grad(),
            ):
                parameter.copy_(weight)
    _load_random(folder, rank)


def _choose_parameters(
    engine: "DeepSpeedEngine", names: Sequence[str]
) -> Iterator[tuple[str, nn.Parameter]]:
    parameters = dict(blip2_of(engine).named_parameters())
    for name in names:
        yield name, parameters[name]


def _gather(engine: "DeepSpeedEngine", parameter: nn.Parameter, kind: str) -> Tensor:
    """The whole float32 weight or moment of a parameter, put together from all ranks' shards."""
    from deepspeed.utils import safe_get_full_fp32_param, safe_get_full_optimizer_state

    if kind == "weight":
        found = safe_get_full_fp32_param(parameter)
        return parameter if found is None else found
    found = safe_get_full_optimizer_state(parameter, kind)
    return engine.optimizer.state[parameter][kind] if found is None else found  # type: ignore[union-attr]


def _scatter(engine: "DeepSpeedEngine", parameter: nn.Parameter, kind: str, value: Tensor) -> None:
    """Put this rank's shard of a weight or moment where the optimizer keeps it."""
    from deepspeed.utils import (
        safe_set_full_fp32_param,
        safe_set_full_optimizer_state,
        safe_set_local_fp32_param,
        safe_set_local_optimizer_state,
    )

    value = value.to(parameter.device)
    if hasattr(parameter, "ds_id"):  # ZeRO 3: a slice of the flat tensor, the last one padded
        size = parameter.ds_tensor.numel()  # type: ignore[attr-defined]
        flat = functional.pad(value.flatten(), (0, size * dist.get_world_size() - value.numel()))
        own = flat.narrow(0, size * dist.get_rank(), size)
        if kind == "weight":
            safe_set_local_fp32_param(parameter, own)
        else:
            safe_set_local_optimizer_state(parameter, own, kind)
    elif hasattr(parameter, "_hp_mapping"):  # ZeRO 1 and 2
        if kind == "weight":
            safe_set_full_fp32_param(parameter, value)
        else:
            safe_set_full_optimizer_state(parameter, value, kind)
    elif kind != "weight":
        engine.optimizer.state[parameter][kind].copy_(value)  # type: ignore[union-attr]


def _make_moments(engine: "DeepSpeedEngine", step: int) -> None:
    """Give the optimizer the moments that it would otherwise make in its first step."""
    optimizer: Any = engine.optimizer
    inner = getattr(optimizer, "optimizer", optimizer)
    fused = inner.defaults.get("fused")
    for flat in _list_shards(optimizer):
        inner.state[flat] = {
            # As torch makes it: the fused optimizer counts beside the weights.
            "step": torch.tensor(float(step), device=flat.device if fused else "cpu"),
            **{kind: torch.zeros_like(flat) for kind in MOMENTS},
        }
    _link_moments(engine)


def _link_moments(engine: "DeepSpeedEngine") -> None:
    """Let ZeRO 1 and 2 find the moments of each parameter in those of their flat shards.

    DeepSpeed does so once, and too early where the moments are made in the first step.
    """
    optimizer: Any = engine.optimizer
    if hasattr(optimizer, "_lazy_init_hp_params_optimizer_state"):
        optimizer._hp_optimizer_states_linked = False
        optimizer._lazy_init_hp_params_optimizer_state()


def _list_shards(optimizer: Any) -> list[Tensor]:
    """The float32 tensors that the optimizer steps on: flat shards, or the parameters."""
    for name in (
        "fp32_partitioned_groups_flat",  # ZeRO 3
        "single_partition_of_fp32_groups",  # ZeRO 1 and 2
    ):
        if hasattr(optimizer, name):
            return list(getattr(optimizer, name))
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


def _save_random(folder: Path, rank: int) -> None:
    tensors = {"torch": torch.get_rng_state()}
    if torch.cuda.is_available():
        tensors["cuda"] = torch.cuda.get_rng_state()
    save_file(tensors, folder / f"random_{rank}.safetensors")
    name, keys, position, has_gauss, gauss = np.random.get_state(legacy=True)
    numpy_state = [name, np.asarray(keys).tolist(), position, has_gauss, gauss]
    write_json(folder / f"random_{rank}.json", {"python": random.getstate(), "numpy": numpy_state})


def _load_random(folder: Path, rank: int) -> None:
    if not (folder / f"random_{rank}.json").exists():
        return
    tensors = load_file(folder / f"random_{rank}.safetensors")
    torch.set_rng_state(tensors["torch"])
    if "cuda" in tensors and torch.cuda.is_available():
        torch.cuda.set_rng_state(tensors["cuda"])
    state = read_json(folder / f"random_{rank}.json")
    version, words, gauss = state["python"]
    random.setstate((version, tuple(words), gauss))
    np.random.set_state(tuple(state["numpy"]))
