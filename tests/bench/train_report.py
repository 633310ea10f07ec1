"""The benchmark's tables: rates, ratios of paired blocks, and the floor beside each."""

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from train_measure import Block

OPTIMIZER_BYTES = {"bf16": 30, "fp32": 28}
"""Of a trained weight and step: float32 weight and two moments read and written, gradient read;
and with bf16 the rounded weight written."""
ELEMENT_BYTES = {"bf16": 2, "fp32": 4}


@dataclass(frozen=True)
class Machine:
    """What the device can do, measured in the same run."""

    name: str
    matrix_rate: float
    """Operations a second."""
    copy_rate: float
    """Bytes a second."""


@dataclass(frozen=True)
class Weights:
    """What a step must read of the model."""

    twice: int
    """Weights that every micro-batch passes there and back."""
    once: int
    """Those of an encoder without a way back."""
    trained: int
    precision: str


def describe(blocks: Sequence[Block], machine: Machine) -> dict[str, Any]:
    """Medians over blocks, with the range of samples a second."""
    rates = [block.samples / block.seconds for block in blocks]
    done = [block.operations / block.seconds for block in blocks]
    return {
        "samples_per_second": statistics.median(rates),
        "samples_per_second_range": [min(rates), max(rates)],
        "images_per_second": statistics.median(block.images / block.seconds for block in blocks),
        "tokens_per_second": statistics.median(block.tokens / block.seconds for block in blocks),
        "padding_share": statistics.median(block.padding_share for block in blocks),
        "wait_share": statistics.median(block.wait_share for block in blocks),
        "mfu": statistics.median(done) / machine.matrix_rate,
        "step_seconds": statistics.median(block.seconds / block.steps for block in blocks),
        "peak_gib": max(block.peak_gib for block in blocks),
        "blocks": [asdict(block) for block in blocks],
    }


def find_floor(blocks: Sequence[Block], machine: Machine, weights: Weights) -> dict[str, float]:
    """What a step cannot take less than: its operations, and the bytes of weights and optimizer.

    Activations are left out: how often they must pass memory depends on the kernels.
    """
    steps = sum(block.steps for block in blocks)
    operations = sum(block.operations for block in blocks) / steps
    micro_batches = sum(block.micro_batches for block in blocks) / steps
    passed = micro_batches * (2 * weights.twice + weights.once)
    moved = passed * ELEMENT_BYTES[weights.precision]
    moved += weights.trained * OPTIMIZER_BYTES[weights.precision]
    return {
        "operations": operations,
        "operations_seconds": operations / machine.matrix_rate,
        "bytes": moved,
        "bytes_seconds": moved / machine.copy_rate,
    }


def compare(ours: Sequence[Block], reference: Sequence[Block]) -> dict[str, Any]:
    """Samples a second, ours over the reference, pair by pair."""
    ratios = [
        (own.samples / own.seconds) / (other.samples / other.seconds)
        for own, other in zip(ours, reference, strict=True)
    ]
    return {"ratio": statistics.median(ratios), "range": [min(ratios), max(ratios)]}


def write_table(sides: dict[str, dict[str, Any]]) -> str:
    """One row a side, Markdown."""
    lines = [
        "| | samples/s | range | images/s | real tokens/s | padding | step, s | floor: operations "
        "| floor: bytes | MFU | data wait | peak, GiB |",
        "|" + "---|" * 12,
    ]
    for name, side in sides.items():
        low, high = side["samples_per_second_range"]
        floor = side["floor"]
        lines.append(
            f"| {name} | {side['samples_per_second']:.4g} | {low:.4g} to {high:.4g} "
            f"| {side['images_per_second']:.4g} | {side['tokens_per_second']:.5g} "
            f"| {side['padding_share']:.1%} | {side['step_seconds']:.4g} "
            f"| {floor['operations'] / 1e12:.4g} TFLOP = {floor['operations_seconds']:.3g} s "
            f"| {floor['bytes'] / 1e9:.4g} GB = {floor['bytes_seconds']:.3g} s "
            f"| {side['mfu']:.1%} | {side['wait_share']:.2%} | {side['peak_gib']:.4g} |"
        )
    return "\n".join(lines)
