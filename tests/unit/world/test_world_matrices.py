"""Matrices: rules hold, one candidate completes them, candidates alone give nothing away."""

import itertools
import random
from collections import Counter
from collections.abc import Iterable

import numpy as np

from mmicl.world.attributes import SPLITS
from mmicl.world.matrices import (
    ATTRIBUTES,
    CONFIGURATIONS,
    RULES,
    Matrix,
    Panel,
    Row,
    count_levels,
    list_rule_sets,
    sample_matrix,
)
from mmicl.world.panels import render_panel


def make_some(count: int = 25) -> list[Matrix]:
    return [
        sample_matrix(random.Random(f"{configuration}/{split}/{seed}"), split, configuration)
        for configuration in CONFIGURATIONS
        for split in SPLITS
        for seed in range(count)
    ]


def explain(rule: str, rows: list[tuple[int, int, int]], offset: int) -> bool:
    """Whether a rule explains full rows; written apart from the product's generator."""
    if rule == "constant":
        return all(a == b == c for a, b, c in rows)
    if rule == "progression":
        steps = {(b - a, c - b) for a, b, c in rows}
        return len(steps) == 1 and all(one == two != 0 and abs(one) < 3 for one, two in steps)
    if rule == "arithmetic":
        seen = [(a + offset, b + offset, c + offset) for a, b, c in rows]
        if any(b == 0 for _, b, _ in seen):
            return False
        return all(a + b == c for a, b, c in seen) or all(a - b == c for a, b, c in seen)
    return len({frozenset(row) for row in rows}) == 1 and len(set(rows[0])) == 3


def list_values(panels: Iterable[Panel], name: str) -> list[Row]:
    """An attribute's levels, row by row."""
    values = [getattr(panel, name) for panel in panels]
    return [(values[start], values[start + 1], values[start + 2]) for start in (0, 3, 6)]


def test_exactly_one_candidate_completes_the_matrix() -> None:
    for matrix in make_some():
        assert len({candidate[:4] for candidate in matrix.candidates}) == 8
        assert matrix.candidates[matrix.answer] == matrix.panels[8]
        fitting = [
            all(
                any(explain(rule, list_values(panels, name), name == "number") for rule in RULES)
                for name in ATTRIBUTES
            )
            for panels in ([*matrix.context, candidate] for candidate in matrix.candidates)
        ]
        assert fitting.count(True) == 1, matrix
        assert fitting[matrix.answer]


def test_the_rules_are_the_ones_that_are_named() -> None:
    for matrix in make_some(20):
        for name, rule in matrix.rules.items():
            rows = list_values(matrix.panels, name)
            assert explain(rule, rows, name == "number"), (name, rule, rows)
            levels = count_levels(name, matrix.configuration)
            assert all(0 <= value < levels for row in rows for value in row)


def test_no_value_is_more_common_among_the_candidates() -> None:
    """I-RAVEN's point: the right candidate must not be the one that shares most with the others."""
    for matrix in make_some(20):
        for place in range(len(ATTRIBUTES)):
            counts = Counter(candidate[place] for candidate in matrix.candidates)
            assert set(counts.values()) in ({8}, {4})


def test_splits_share_no_combination_of_rules() -> None:
    for configuration in CONFIGURATIONS:
        sets = {
            split: {tuple(rules.items()) for rules in list_rule_sets(configuration, split)}
            for split in SPLITS
        }
        for one, other in itertools.combinations(SPLITS, 2):
            assert not sets[one] & sets[other]
        for split in SPLITS:
            used = {item for rules in sets[split] for item in rules if item[0] != "number"}
            assert len(used) == 3 + 4 + 4, "every rule of every attribute occurs in every split"


def test_panels_differ_when_their_levels_do() -> None:
    pictures = {
        render_panel(Panel(0, shape, size, color, "center_single", (0,))).tobytes()
        for shape in range(5)
        for size in range(5)
        for color in range(5)
    }
    assert len(pictures) == 125
    nine = render_panel(Panel(8, 0, 4, 4, "distribute_nine", tuple(range(9))))
    assert nine.shape == (160, 160)
    assert nine.dtype == np.uint8
    assert nine.min() < 30
