"""Steps that are left out because their loss or gradient is not finite."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch.distributed as dist

from mmicl.errors import DataError

SHOWN = 8
"""Sample ids in a message; the log has them all."""


@dataclass
class Skips:
    """Counts such steps, and ends the run after too many in a row; the same on every rank.

    Args:
        allowed: Steps in a row that may be left out.
        stage: For the messages.
        log: Gets one line a step, from rank 0: the step, what was not finite, the sample ids.
        total: Steps left out in the whole run; the optimizer has taken so many fewer.
        in_a_row: Of these, the newest without a good one after them.
    """

    allowed: int
    stage: str
    log: Path
    total: int = 0
    in_a_row: int = 0
    _names: list[str] = field(default_factory=list)
    """Samples of the steps in a row."""

    def clear(self) -> None:
        """Note a step that was taken."""
        self.in_a_row = 0
        self._names.clear()

    def add(self, step: int, what: str, own: list[str]) -> str:
        """Note a step that was left out; every rank must take part.

        Args:
            step: From 1.
            what: `loss` or `gradient`.
            own: The ids of this rank's samples that may be the cause.

        Returns:
            One line about it.

        Raises:
            DataError: There were more in a row than are allowed.
        """
        names = _gather_names(own)
        self.total += 1
        self.in_a_row += 1
        self._names += [name for name in names if name not in self._names]
        if dist.get_rank() == 0:
            with self.log.open("a", encoding="utf-8") as stream:
                line = {"step": step, "not_finite": what, "samples": names}
                stream.write(json.dumps(line, ensure_ascii=False) + "\n")
        if self.in_a_row <= self.allowed:
            return f"step {step} left out: the {what} is not finite, for {_shorten(names, what)}"
        before = f" and {self.in_a_row - 1} before it" if self.in_a_row > 1 else ""
        raise DataError(
            f"the {what} is not finite at step {step}{before}, for {_shorten(self._names, what)}",
            where=self.stage,
            remedy=f"look at these samples, or lower {self.stage}.learning_rate",
        )

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {
            "skipped": self.total,
            "skipped_in_a_row": self.in_a_row,
            "skipped_names": self._names,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what `state` gave."""
        self.total, self.in_a_row = state["skipped"], state["skipped_in_a_row"]
        self._names = list(state.get("skipped_names", []))  # older checkpoints have none


def _gather_names(own: list[str]) -> list[str]:
    """The names of all ranks, each once, sorted."""
    found: list[list[str]] = [[] for _ in range(dist.get_world_size())]
    dist.all_gather_object(found, own)
    return sorted({name for names in found for name in names})


def _shorten(names: list[str], what: str) -> str:
    """Some ids for a line; of a gradient's samples each may be the cause, or none alone."""
    text = ", ".join(names[:SHOWN])
    text += f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return text if what == "loss" else f"a batch of {text}"
