"""Scenes to pictures: anti-aliased, and a pure function of the scene."""

import math
import random
from dataclasses import dataclass
from functools import lru_cache

from PIL import Image, ImageDraw

from mmicl.world.attributes import COLORS, GRID, UNNAMED
from mmicl.world.scenes import Scene, Thing

SIZE = 96
"""Width and height of a picture in pixels."""
OVERSAMPLING = 3
RADII = {"large": 13.0, "small": 7.0}
INSIDE_RADIUS = 5.5
BACKGROUNDS = (
    (246, 246, 244), (232, 236, 240), (240, 232, 220), (224, 236, 224),
    (238, 226, 236), (214, 218, 222), (250, 242, 214), (220, 232, 246),
)  # fmt: skip

PALETTE = {**COLORS, **UNNAMED}

Point = tuple[float, float]


@dataclass(frozen=True)
class Placement:
    """Where and how a thing is drawn, in pixels of the finished picture."""

    thing: Thing
    outline: tuple[Point, ...]
    fill: tuple[int, int, int]
    hole: tuple[float, float, float] | None
    """Centre and radius of a ring's hole."""

    @property
    def box(self) -> tuple[int, int, int, int]:
        """The smallest box around it: left, top, right, bottom, the last two exclusive."""
        xs, ys = zip(*self.outline, strict=True)
        return (
            max(0, math.floor(min(xs))),
            max(0, math.floor(min(ys))),
            min(SIZE, math.ceil(max(xs))),
            min(SIZE, math.ceil(max(ys))),
        )


@lru_cache
def trace_shape(shape: str) -> tuple[Point, ...]:
    """A shape's outline in a circle of radius 1 around the origin."""
    if shape == "heart":
        points = []
        for step in range(32):
            angle = 2 * math.pi * step / 32
            y = 13 * math.cos(angle) - 5 * math.cos(2 * angle)
            y -= 2 * math.cos(3 * angle) + math.cos(4 * angle)
            points.append((math.sin(angle) ** 3, -(y + 2.5) / 16))
        return tuple(points)
    if shape == "cross":
        arm = 0.34
        return (
            (-arm, -1), (arm, -1), (arm, -arm), (1, -arm), (1, arm), (arm, arm),
            (arm, 1), (-arm, 1), (-arm, arm), (-1, arm), (-1, -arm), (-arm, -arm),
        )  # fmt: skip
    if shape == "star":
        return tuple(
            (radius * math.sin(math.pi * step / 5), -radius * math.cos(math.pi * step / 5))
            for step, radius in enumerate((1.0, 0.42) * 5)
        )
    corners, turn = {
        "circle": (40, 0.0), "ring": (40, 0.0), "triangle": (3, 0.0), "diamond": (4, 0.0),
        "square": (4, math.pi / 4),
    }[shape]  # fmt: skip
    return tuple(
        (
            math.sin(turn + 2 * math.pi * step / corners),
            -math.cos(turn + 2 * math.pi * step / corners),
        )
        for step in range(corners)
    )


def lay_out(scene: Scene) -> list[Placement]:
    """Place a scene's things, in the order in which they are drawn."""
    rng = random.Random(f"layout/{scene.look}")
    cell = SIZE / GRID
    placements: list[Placement] = []
    centers: dict[tuple[int, int], Point] = {}
    for thing in scene.things:
        spot = thing.row, thing.column
        shift = rng.uniform(-1.8, 1.8), rng.uniform(-1.8, 1.8)
        radius = RADII[thing.size] + rng.uniform(-0.8, 0.8)
        tilt = math.radians(rng.uniform(-8, 8))
        fill = tuple(
            min(255, max(0, value + rng.randint(-10, 10))) for value in PALETTE[thing.color]
        )
        if spot in centers:  # inside what was drawn there
            center, radius = centers[spot], INSIDE_RADIUS
        else:
            center = (
                cell * (thing.column + 0.5) + shift[0],
                cell * (thing.row + 0.5) + shift[1],
            )
        centers[spot] = center
        outline = turn_outline(trace_shape(thing.shape), center, radius, tilt)
        hole = (*center, radius * 0.62) if thing.shape == "ring" else None
        placements.append(Placement(thing, outline, (fill[0], fill[1], fill[2]), hole))
    return placements


def turn_outline(
    points: tuple[Point, ...], center: Point, radius: float, tilt: float
) -> tuple[Point, ...]:
    """Move an outline of the unit circle to its place, size and tilt (radians)."""
    sine, cosine = math.sin(tilt) * radius, math.cos(tilt) * radius
    return tuple(
        (center[0] + x * cosine - y * sine, center[1] + x * sine + y * cosine) for x, y in points
    )


def render_scene(scene: Scene) -> Image.Image:
    """Draw a scene as an RGB picture of SIZE x SIZE pixels."""
    picture = render_background(scene.look)
    draw = ImageDraw.Draw(picture)
    for placement in lay_out(scene):
        outline = [(x * OVERSAMPLING, y * OVERSAMPLING) for x, y in placement.outline]
        if placement.hole is None:
            draw.polygon(outline, fill=placement.fill)
            continue
        left, top, right, bottom = (
            min(x for x, _ in outline), min(y for _, y in outline),
            max(x for x, _ in outline), max(y for _, y in outline),
        )  # fmt: skip
        width = (right - left) / 2 - placement.hole[2] * OVERSAMPLING
        draw.ellipse((left, top, right, bottom), outline=placement.fill, width=round(width))
    return picture.reduce(OVERSAMPLING)


def render_background(look: int) -> Image.Image:
    """A pale ground: plain, shaded, dotted or striped; OVERSAMPLING times the final size."""
    rng = random.Random(f"background/{look}")
    size = SIZE * OVERSAMPLING
    base = rng.choice(BACKGROUNDS)
    other = tuple(value - rng.randint(8, 22) for value in base)
    kind = rng.choice(("plain", "shaded", "dotted", "striped"))
    picture = Image.new("RGB", (size, size), base)
    if kind == "shaded":
        gradient = shade(rng.randrange(4)).resize((size, size))
        picture.paste(other, (0, 0, size, size), gradient)
    draw = ImageDraw.Draw(picture)
    if kind == "dotted":
        for _ in range(24):
            x, y, radius = rng.randrange(size), rng.randrange(size), rng.randint(3, 9)
            draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=other)
    if kind == "striped":
        step, slope = rng.randint(20, 40), rng.choice((-size, 0, size))
        for x in range(-size, 2 * size, step):
            draw.line((x, 0, x + slope, size), fill=other, width=5)
    return picture


@lru_cache
def shade(quarter_turns: int) -> Image.Image:
    """A grey gradient in one of four directions."""
    return Image.linear_gradient("L").rotate(90 * quarter_turns)
