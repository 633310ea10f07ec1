"""The learning rate by step, against values worked out by hand."""

import math
from pathlib import Path

import pytest

from mmicl.config import Training, load_config
from mmicl.train.schedule import learning_rate

PARAMS = Path(__file__).parents[3] / "profiles" / "tiny.yaml"


def make(schedule: str, warmup: float) -> Training:
    changed = {
        "steps": 10,
        "learning_rate": 1.0,
        "warmup_ratio": warmup,
        "schedule": schedule,
    }
    return load_config(PARAMS).pretrain.model_copy(update=changed)


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("constant", [1 / 3, 2 / 3, 1, 1, 1, 1, 1, 1, 1, 1]),
        ("linear", [1 / 3, 2 / 3, 1, 7 / 8, 6 / 8, 5 / 8, 4 / 8, 3 / 8, 2 / 8, 1 / 8]),
        (
            "cosine",
            [1 / 3, 2 / 3, *(0.5 * (1 + math.cos(math.pi * step / 8)) for step in range(8))],
        ),
    ],
)
def test_warm_up_then_the_schedule(schedule: str, expected: list[float]) -> None:
    training = make(schedule, warmup=0.2)
    assert [learning_rate(step, training) for step in range(10)] == pytest.approx(expected)


def test_no_warm_up_starts_at_the_full_rate() -> None:
    assert learning_rate(0, make("linear", warmup=0.0)) == 1.0


def test_no_step_has_a_rate_of_zero() -> None:
    for schedule in ("constant", "linear", "cosine"):
        for warmup in (0.0, 0.5, 1.0):
            assert all(learning_rate(step, make(schedule, warmup)) > 0 for step in range(10))
