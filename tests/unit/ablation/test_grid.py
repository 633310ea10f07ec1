"""The part of the ablation's grid that a call asks for."""

from pathlib import Path

import pytest

from mmicl.ablation.grid import choose_grid
from mmicl.config import load_config
from mmicl.errors import UserError

GRID = load_config(Path(__file__).resolve().parents[3] / "profiles" / "tiny.yaml").ablation


def test_all_of_it_if_nothing_is_said() -> None:
    assert choose_grid(GRID, None, None) == GRID


def test_variants_and_seeds_that_are_asked_for() -> None:
    chosen = choose_grid(GRID, [7], ["no-scheme", "full"])
    assert list(chosen.variants) == ["full", "no-scheme"], "in the order of the grid"
    assert chosen.seeds == [7]
    assert chosen.claims == GRID.claims


def test_an_unknown_variant_is_one_line() -> None:
    with pytest.raises(UserError, match=r"ablation.variants: no variant named absent; there are "):
        choose_grid(GRID, None, ["full", "absent"])
