"""Records of tensors on their way to a device."""

from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar

import torch

Record = TypeVar("Record")


def move(record: Record, device: torch.device) -> Record:
    """A dataclass with its tensors, and those of dataclasses in it, on a device.

    The device need not be done with what it was given before.
    """
    moved: dict[str, Any] = {}
    for entry in fields(record):  # type: ignore[arg-type]
        value = getattr(record, entry.name)
        if isinstance(value, torch.Tensor):
            # From any other memory a copy waits for the GPU.
            own = value.pin_memory() if device.type == "cuda" else value
            moved[entry.name] = own.to(device, non_blocking=True)
        elif is_dataclass(value):
            moved[entry.name] = move(value, device)
    return replace(record, **moved)  # type: ignore[type-var]
