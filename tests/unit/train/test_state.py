"""What a run that goes on gives its optimizer, and takes from checkpoints of older code."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from mmicl.train.skips import Skips
from mmicl.train.state import _make_moments


@pytest.mark.parametrize(("fused", "place"), [(True, "meta"), (None, "cpu")])
def test_a_fused_optimizer_counts_its_steps_where_the_weights_are(
    fused: bool | None, place: str
) -> None:
    # A meta tensor stands for a GPU's: torch refuses a count in main memory beside its weights.
    weight = torch.nn.Parameter(torch.zeros(3, device="meta"))
    optimizer = torch.optim.AdamW([weight], fused=fused)
    engine: Any = SimpleNamespace(optimizer=optimizer)
    _make_moments(engine, 7)
    state = optimizer.state[weight]
    assert state["step"].device.type == place
    assert state["exp_avg"].device.type == state["exp_avg_sq"].device.type == "meta"


def test_a_checkpoint_from_before_names_were_kept_is_gone_on_from(tmp_path: Path) -> None:
    skips = Skips(3, "pretrain", tmp_path / "skipped.jsonl")
    skips.restore({"skipped": 4, "skipped_in_a_row": 1})
    assert (skips.total, skips.in_a_row) == (4, 1)
