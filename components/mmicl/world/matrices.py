"""3 x 3 matrices in the manner of RAVEN: rules along the rows, one of eight panels completes them.

Rules are RAVEN's (Zhang et al., CVPR 2019): constant, progression, arithmetic, distribute three;
shape knows no arithmetic. Candidates follow I-RAVEN (Hu et al., AAAI 2021): three attributes take
two values each, so that no candidate stands out without the context. A puzzle is kept only if
every rule that explains the first two rows leads to the same candidate.

Splits share no combination of rules.
"""

import functools
import itertools
import random
from dataclasses import dataclass
from typing import Literal, NamedTuple

from mmicl.records import Split
from mmicl.world.attributes import GRADES, GREYS, NUMBERS, POLYGONS

Configuration = Literal["center_single", "distribute_four", "distribute_nine"]
CONFIGURATIONS: dict[Configuration, int] = {
    "center_single": 1, "distribute_four": 4, "distribute_nine": 9,
}  # fmt: skip
"""RAVEN's names, and how many entities a panel can hold."""

Rule = Literal["constant", "progression", "distribute_three", "arithmetic"]
RULES: tuple[Rule, ...] = ("constant", "progression", "distribute_three", "arithmetic")
ATTRIBUTES = ("number", "shape", "size", "color")
BUCKETS: dict[Split, tuple[int, ...]] = {"train": (0, 1, 3, 5, 7), "val": (4,), "test": (2, 6)}
STEPS = (-2, -1, 1, 2)

Row = tuple[int, int, int]


class Panel(NamedTuple):
    """One cell of a matrix. Attributes are levels from 0; `slots` are the occupied positions."""

    number: int
    shape: int
    size: int
    color: int
    configuration: Configuration
    slots: tuple[int, ...]

    @property
    def levels(self) -> tuple[int, int, int, int]:
        """Of ATTRIBUTES, in their order."""
        return self[: len(ATTRIBUTES)]  # type: ignore[return-value]

    def words(self) -> list[str]:
        """The panel in four words: how many, how large, which fill, which shape."""
        return [
            NUMBERS[self.number + 1], GRADES[self.size], GREYS[self.color], POLYGONS[self.shape]
        ]  # fmt: skip


@dataclass(frozen=True)
class Matrix:
    """A puzzle: nine panels row by row, eight candidates, the index of the right one."""

    configuration: Configuration
    rules: dict[str, Rule]
    panels: tuple[Panel, ...]
    candidates: tuple[Panel, ...]
    answer: int

    @property
    def context(self) -> tuple[Panel, ...]:
        """The eight panels that are shown."""
        return self.panels[:8]


def count_levels(attribute: str, configuration: Configuration) -> int:
    """How many levels an attribute has."""
    return CONFIGURATIONS[configuration] if attribute == "number" else 5


@functools.cache
def list_rule_sets(configuration: Configuration, split: Split) -> list[dict[str, Rule]]:
    """The rule combinations of a split: a rule for each attribute that can vary."""
    choices = {
        "number": RULES if configuration != "center_single" else RULES[:1],
        "shape": RULES[:3],
        "size": RULES,
        "color": RULES,
    }
    found = []
    for rules in itertools.product(*choices.values()):
        weights = (
            RULES.index(rule) * weight for rule, weight in zip(rules, (1, 1, 2, 3), strict=True)
        )
        if sum(weights) % 8 in BUCKETS[split]:
            found.append(dict(zip(choices, rules, strict=True)))
    return found


@functools.cache
def list_rows(rule: Rule, levels: int, offset: int) -> list[list[Row]]:
    """Rows by variant of a rule (step, sign, set of three): a matrix takes its rows from one.

    `offset` is 1 where levels stand for counts from one: arithmetic adds what is seen.
    """
    span = range(levels)
    if rule == "constant":
        return [[(value, value, value) for value in span]]
    if rule == "progression":
        variants = [
            [
                (start, start + step, start + 2 * step)
                for start in span
                if 0 <= start + 2 * step < levels
            ]
            for step in STEPS
        ]
    elif rule == "arithmetic":
        # adding nothing would look like a constant
        variants = [
            [
                (first, second, result)
                for first in span
                for second in range(1 - offset, levels)
                if 0 <= (result := first + sign * (second + offset)) < levels
            ]
            for sign in (1, -1)
        ]
    else:
        sets = itertools.combinations(span, 3)
        variants = [[(a, b, c) for a, b, c in itertools.permutations(three)] for three in sets]
    return [rows for rows in variants if rows]


def draw_rows(rng: random.Random, rule: Rule, levels: int, offset: int) -> list[Row]:
    """Three rows that follow one variant of a rule."""
    variants = list_rows(rule, levels, offset)
    if not variants:  # too few levels for this rule
        return draw_rows(rng, "constant", levels, offset)
    rows = rng.choice(variants)
    if rule == "distribute_three":  # a Latin square: each value once in each column as well
        first = rng.choice(rows)
        second, third = first[1:] + first[:1], first[2:] + first[:2]
        return rng.choice(([first, second, third], [first, third, second]))
    return [rng.choice(rows) for _ in range(3)]


def infer_answers(known: list[Row], start: tuple[int, int], levels: int, offset: int) -> set[int]:
    """All last values that any rule which explains two full rows gives the third row."""
    answers: set[int] = set()
    for rule in RULES:
        for rows in list_rows(rule, levels, offset):
            if all(row in rows for row in known):
                answers |= {row[2] for row in rows if row[:2] == start}
    return answers


def sample_matrix(rng: random.Random, split: Split, configuration: Configuration) -> Matrix:
    """Draw a puzzle with exactly one right candidate."""
    rules = rng.choice(list_rule_sets(configuration, split))
    while True:
        grids = {
            name: draw_rows(rng, rule, count_levels(name, configuration), name == "number")
            for name, rule in rules.items()
        }
        panels = [
            draw_panel(rng, configuration, [grids[name][row][column] for name in ATTRIBUTES])
            for row in range(3)
            for column in range(3)
        ]
        candidates = draw_candidates(rng, panels[8])
        allowed = [
            infer_answers(
                grids[name][:2],
                grids[name][2][:2],
                count_levels(name, configuration),
                name == "number",
            )
            for name in ATTRIBUTES
        ]
        fitting = [
            panel
            for panel in candidates
            if all(value in values for value, values in zip(panel.levels, allowed, strict=True))
        ]
        if fitting == [panels[8]]:
            answer = candidates.index(panels[8])
            return Matrix(configuration, rules, tuple(panels), tuple(candidates), answer)


def draw_panel(rng: random.Random, configuration: Configuration, levels: list[int]) -> Panel:
    """A panel with the given levels; where its entities stand is noise."""
    number, shape, size, color = levels
    slots = sorted(rng.sample(range(CONFIGURATIONS[configuration]), number + 1))
    return Panel(number, shape, size, color, configuration, tuple(slots))


def sample_panel(rng: random.Random) -> Panel:
    """A panel by itself, of any configuration and levels."""
    configuration = rng.choice(tuple(CONFIGURATIONS))
    number = rng.randrange(CONFIGURATIONS[configuration])
    shape, size, color = (
        rng.randrange(count_levels(name, configuration)) for name in ("shape", "size", "color")
    )
    return draw_panel(rng, configuration, [number, shape, size, color])


def draw_candidates(rng: random.Random, answer: Panel) -> list[Panel]:
    """Eight panels: three attributes, two values each, in random order."""
    varying = [name for name in ATTRIBUTES if count_levels(name, answer.configuration) > 1]
    chosen = rng.sample(varying, 3)
    others = {
        name: rng.choice(
            [
                level
                for level in range(count_levels(name, answer.configuration))
                if level != getattr(answer, name)
            ]
        )
        for name in chosen
    }
    candidates = [answer]
    for mask in range(1, 8):
        levels = [
            others[name]
            if name in chosen and mask >> chosen.index(name) & 1
            else getattr(answer, name)
            for name in ATTRIBUTES
        ]
        candidates.append(draw_panel(rng, answer.configuration, levels))
    rng.shuffle(candidates)
    return candidates
