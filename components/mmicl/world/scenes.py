"""Scenes: up to four things on a 3 x 3 grid, and what is true of them."""

import random
from dataclasses import dataclass
from typing import Literal

from mmicl.records import Split
from mmicl.world.attributes import (
    CONTAINERS,
    GRID,
    PLACES,
    SIZES,
    Combination,
    list_combinations,
)

MAX_THINGS = 4

Relation = Literal["left of", "right of", "above", "below", "inside"]
RELATIONS: tuple[Relation, ...] = ("left of", "right of", "above", "below", "inside")


@dataclass(frozen=True)
class Thing:
    """One shape. Row and column count from the top left cell of the grid."""

    shape: str
    color: str
    size: str
    row: int
    column: int

    @property
    def combination(self) -> Combination:
        """What is held out between splits."""
        return Combination(self.shape, self.color)

    @property
    def place(self) -> str:
        """The cell in one or two words, as answers name it."""
        return PLACES[self.row][self.column]


@dataclass(frozen=True)
class Scene:
    """Things in reading order (a container before what it contains), on a background.

    `look` seeds everything that means nothing: the background, the tremble of places and colours.
    """

    things: tuple[Thing, ...]
    look: int

    def select(
        self, shape: str | None = None, color: str | None = None, size: str | None = None
    ) -> tuple[Thing, ...]:
        """The things that have all the given attributes."""
        return tuple(
            thing
            for thing in self.things
            if shape in (None, thing.shape)
            and color in (None, thing.color)
            and size in (None, thing.size)
        )


def arrange(things: list[Thing], look: int) -> Scene:
    """Put things in reading order and make a scene of them."""
    order = sorted(things, key=lambda thing: (thing.row, thing.column, thing.size != "large"))
    return Scene(tuple(order), look)


def hold_relation(first: Thing, relation: Relation, second: Thing) -> bool:
    """Whether `first` stands in a relation to `second`.

    Columns decide left and right, rows above and below; things of one cell are inside each other.
    """
    if relation == "inside":
        same = (first.row, first.column) == (second.row, second.column)
        return same and first.size == "small" and second.size == "large"
    return {
        "left of": first.column < second.column,
        "right of": first.column > second.column,
        "above": first.row < second.row,
        "below": first.row > second.row,
    }[relation]


def list_relations(first: Thing, second: Thing) -> list[Relation]:
    """All relations of `first` to `second`; none where `first` contains `second`."""
    return [name for name in RELATIONS if hold_relation(first, name, second)]


def sample_scene(
    rng: random.Random,
    split: Split,
    *,
    least: int = 2,
    most: int = MAX_THINGS,
    palette: tuple[Combination, ...] | None = None,
    inside: float = 0.15,
) -> Scene:
    """Draw a scene.

    Args:
        rng: The only source of chance.
        split: Whose combinations may occur.
        least: The fewest things.
        most: The most things, at most `MAX_THINGS`.
        palette: Combinations to draw from, instead of all of the split.
        inside: How likely one thing is drawn inside another.
    """
    palette = palette or list_combinations(split)
    cells = rng.sample([(row, column) for row in range(GRID) for column in range(GRID)], most)
    things: list[Thing] = []
    for row, column in cells[: rng.randint(least, most)]:
        shape, color = draw_combination(rng, palette, things)
        things.append(Thing(shape, color, rng.choice(SIZES), row, column))
    if len(things) > 1 and rng.random() < inside:
        things = put_inside(rng, things)
    return arrange(things, rng.getrandbits(32))


def draw_combination(
    rng: random.Random, palette: tuple[Combination, ...], things: list[Thing]
) -> Combination:
    """Draw a combination; every third one shares shape or colour with a thing that is there.

    Otherwise a count above one, or two things that a question must tell apart, would be rare.
    """
    if things and rng.random() < 0.35:
        model = rng.choice(things)
        alike = [
            item for item in palette if (item.shape == model.shape) or item.color == model.color
        ]
        if alike:
            return rng.choice(alike)
    return rng.choice(palette)


def put_inside(rng: random.Random, things: list[Thing]) -> list[Thing]:
    """Move one thing into another, where some shape can hold it; colours must differ."""
    pairs = [
        (outer, inner)
        for outer in things
        for inner in things
        if outer.shape in CONTAINERS and outer.color != inner.color and outer is not inner
    ]
    if not pairs:
        return things
    outer, inner = rng.choice(pairs)
    rest = [thing for thing in things if thing is not outer and thing is not inner]
    return [
        *rest,
        Thing(outer.shape, outer.color, "large", outer.row, outer.column),
        Thing(inner.shape, inner.color, "small", outer.row, outer.column),
    ]
