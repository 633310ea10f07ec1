"""What things can be, and which combinations belong to which split.

Held out are combinations of shape and colour: every shape and every colour occurs in every split,
but a red star occurs in one split alone. Of the eight diagonals of the shape x colour table,
training has five, validation one and test two. The two of test lie four apart, so that two shapes
can swap their colours without leaving the split (the Winoground items need that).
"""

import functools
import itertools
import math
from typing import NamedTuple

from mmicl.records import Split

SHAPES = ("circle", "square", "triangle", "diamond", "star", "cross", "ring", "heart")
CONTAINERS = ("circle", "square", "diamond", "ring")
"""Shapes that stay recognisable with a small one drawn inside."""

COLORS: dict[str, tuple[int, int, int]] = {
    "red": (214, 38, 40),
    "green": (40, 150, 62),
    "blue": (32, 84, 204),
    "yellow": (246, 208, 38),
    "purple": (132, 58, 172),
    "orange": (252, 128, 18),
    "black": (28, 28, 30),
    "cyan": (44, 200, 222),
}
LEVELS = (5, 55, 105, 155, 205, 250)
DISTANCE = 75.0
"""Between a colour without a name and any other's, in RGB."""


def list_unnamed_colors() -> dict[str, tuple[int, int, int]]:
    """Colours on a lattice, far from those that have a name, and not as pale as a background."""
    lattice = [
        color
        for color in itertools.product(LEVELS, LEVELS, LEVELS)
        if min(color) <= LEVELS[3]
        and all(math.dist(color, named) > DISTANCE for named in COLORS.values())
    ]
    return {f"unnamed-{number}": color for number, color in enumerate(lattice)}


UNNAMED = list_unnamed_colors()
"""Colours that no text of the world names and no dataset shows: an encoder learns shapes in them
without seeing a held-out combination. They lie on all sides of those with a name: with ten colours,
none near cyan or yellow, two in three cyan squares and crosses were taken for other shapes."""
SIZES = ("small", "large")
GRID = 3
ROWS = ("top", "middle", "bottom")
COLUMNS = ("left", "center", "right")
PLACES = (
    ("top left", "top", "top right"),
    ("left", "center", "right"),
    ("bottom left", "bottom", "bottom right"),
)
"""The cells as answers and captions name them (`PLACES[row][column]`)."""

NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
GREYS = ("white", "pale", "grey", "dark", "black")
"""Fills of matrix panels, by level."""
GRADES = ("tiny", "small", "medium", "large", "huge")
"""Sizes of matrix panels, by level."""
POLYGONS = ("triangle", "square", "pentagon", "hexagon", "circle")
"""Shapes of matrix panels, by level: RAVEN's five."""

SPLITS: tuple[Split, ...] = ("train", "val", "test")
DIAGONALS: dict[Split, tuple[int, ...]] = {"train": (0, 1, 3, 5, 7), "val": (4,), "test": (2, 6)}


class Combination(NamedTuple):
    """A shape in a colour: the unit that is held out."""

    shape: str
    color: str


@functools.cache
def list_combinations(split: Split) -> tuple[Combination, ...]:
    """The combinations of shape and colour that occur in a split."""
    colors = tuple(COLORS)
    return tuple(
        Combination(shape, colors[(row + diagonal) % len(colors)])
        for row, shape in enumerate(SHAPES)
        for diagonal in DIAGONALS[split]
    )


def pluralize(noun: str) -> str:
    """The plural of a shape or a generic noun."""
    return f"{noun}es" if noun.endswith("s") else f"{noun}s"


def add_article(phrase: str) -> str:
    """`a` or `an` before a phrase."""
    return f"{'an' if phrase[0] in 'aeiou' else 'a'} {phrase}"
