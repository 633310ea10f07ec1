"""The miniature, and a store of small pictures."""

import numpy as np
import pytest
import torch
from tiny_model import Tiny
from transformers import Blip2ForConditionalGeneration

from mmicl.images.store import ImageStore, ImageWriter
from mmicl.model.loading import load_model


@pytest.fixture(scope="session")
def shared_tiny() -> Tiny:
    torch.set_num_threads(1)
    return load_model("builtin:tiny")


@pytest.fixture
def tiny(shared_tiny: Tiny) -> Tiny:
    """A model of the test's own."""
    model = Blip2ForConditionalGeneration(shared_tiny[0].config)
    model.load_state_dict(shared_tiny[0].state_dict())
    return model.eval(), shared_tiny[1]


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> tuple[ImageStore, list[str]]:
    folder = tmp_path_factory.mktemp("pictures")
    noise = np.random.default_rng(0)
    with ImageWriter(folder) as writer:
        references = [
            writer.add_pixels(noise.integers(0, 255, (64, 80, 3), dtype=np.uint8))
            for _ in range(40)
        ]
    return ImageStore([folder]), references
