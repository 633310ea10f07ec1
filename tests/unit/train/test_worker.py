"""What a rank looks at before it loads anything."""

import pytest
import torch

from mmicl.errors import UserError
from mmicl.train.worker import _check_gpus


def test_more_processes_than_gpus_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    _check_gpus(2)
    with pytest.raises(UserError, match=r"launch\.processes: 6 processes .* 2 GPU.*; set it to 2"):
        _check_gpus(6)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    _check_gpus(6)
