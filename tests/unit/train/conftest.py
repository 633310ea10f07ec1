"""The miniature's processor."""

import pytest
import torch

from mmicl.model.loading import load_model
from mmicl.model.processor import MmiclProcessor


@pytest.fixture(scope="session")
def processor() -> MmiclProcessor:
    torch.set_num_threads(1)
    return load_model("builtin:tiny")[1]
