"""A training pass on a GPU is handed over whole: nothing in it asks for a value before its end."""

from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from mmicl.model.freeze import select_trainable
from mmicl.model.fused import fuse_for_gpu
from mmicl.model.loading import load_model
from mmicl.model.processor import MmiclProcessor
from mmicl.records import Sample
from mmicl.train.batches import BatchMaker, MicroBatch
from mmicl.train.engine import LossModel

ASKING = ("_local_scalar_dense", "nonzero", "masked_select", "is_nonzero", "equal", "unique")
"""Operators whose result, or its size, the processor must know: it waits for the GPU there."""


class Listener(TorchDispatchMode):
    """Notes the operators that ask."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        if name in ASKING:
            self.asked.append(name)
        return func(*args, **(kwargs or {}))


def make_micro(
    processor: MmiclProcessor, prompts: list[str], counts: list[int], visual: tuple[int, ...]
) -> MicroBatch:
    """One micro-batch of prompts with so many images each."""
    rows = [
        Sample(
            id=f"s/{place}", source="s", dataset="coco", split="train", task="vqa",
            images=tuple(f"{place}{number}" for number in range(count)), prompt=prompt,
            target="red", template="t", group="g",
        )
        for place, (prompt, count) in enumerate(zip(prompts, counts, strict=True))
    ]  # fmt: skip
    maker = BatchMaker(
        rows, processor, lambda view: torch.randn(visual), ranks=1, rank=0,
        micro_batch=9, micro_tokens=9999, max_target_tokens=9,
        contrastive=0.1 if len(visual) == 3 else 0.0,
    )  # fmt: skip
    (micro,) = maker.make(range(len(rows))).micro_batches
    return micro


CASES = pytest.mark.parametrize(
    ("recipe", "prompts", "counts"),
    [
        ("stage1", ["图 red?", "图 blue or red?"], [1, 1]),
        ("design", ["图 and 图 red?", "no picture", "图 red?"], [2, 0, 1]),
        ("design", ["图 red?", "图 red?"], [1, 1]),
        ("design", ["no picture", "none"], [0, 0]),
    ],
    ids=["stage I", "padded", "whole", "no images"],
)


def prepare(recipe: str, prompts: list[str], counts: list[int]) -> tuple[Any, MicroBatch]:
    """A model with that recipe, and the batch."""
    loaded: Any = load_model("builtin:tiny")
    model, processor = loaded
    select_trainable(model, recipe)
    size: int = model.config.vision_config.image_size
    visual = (3, size, size) if recipe == "stage1" else (4, model.config.qformer_config.hidden_size)
    torch.manual_seed(0)
    return model, make_micro(processor, prompts, counts, visual)


@CASES
def test_no_pass_waits_for_a_value(recipe: str, prompts: list[str], counts: list[int]) -> None:
    model, micro = prepare(recipe, prompts, counts)
    fuse_for_gpu(model)
    with Listener() as listener:
        LossModel(model)(micro).sum().backward()
    assert listener.asked == []


@CASES
def test_its_losses_and_gradients_are_those_of_transformers(
    recipe: str, prompts: list[str], counts: list[int]
) -> None:
    model, micro = prepare(recipe, prompts, counts)
    found = []
    for fuse in (lambda model: None, fuse_for_gpu):
        fuse(model)
        model.zero_grad()
        losses = LossModel(model)(micro)
        losses.sum().backward()
        gradients = {
            name: value.grad for name, value in model.named_parameters() if value.requires_grad
        }
        found.append((losses.detach(), gradients))
    (losses, expected), (fused, gradients) = found
    torch.testing.assert_close(fused, losses, rtol=1e-5, atol=1e-5)
    largest = max(float(value.abs().max()) for value in expected.values() if value is not None)
    assert largest > 0
    for name, value in expected.items():
        torch.testing.assert_close(
            gradients[name],
            value,
            rtol=1e-4,
            atol=1e-5 * largest,
            msg=lambda text, n=name: n + text,
        )


def test_the_listener_hears_what_transformers_asks() -> None:
    model, micro = prepare("design", ["图 red?", "图 blue or red?"], [1, 1])
    with Listener() as listener, torch.no_grad():
        LossModel(model)(micro)
    assert listener.asked  # on a processor, where asking costs nothing
