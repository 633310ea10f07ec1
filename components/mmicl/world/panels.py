"""Matrix panels to grey pictures of 160 x 160 pixels, as RAVEN has them."""

import math
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw

from mmicl.world.attributes import POLYGONS
from mmicl.world.matrices import CONFIGURATIONS, Configuration, Panel

SIZE = 160
OVERSAMPLING = 2
FILLS = (255, 206, 150, 92, 24)
SCALES = (0.42, 0.55, 0.68, 0.82, 0.96)
CORNERS = {"triangle": 3, "square": 4, "pentagon": 5, "hexagon": 6, "circle": 48}


def render_panel(panel: Panel) -> np.ndarray:
    """Draw a panel: uint8 of (SIZE, SIZE), white ground, entities with a black edge."""
    return _render(panel.shape, panel.size, panel.color, panel.configuration, panel.slots)


@lru_cache(maxsize=4096)
def _render(
    shape: int, size: int, color: int, configuration: Configuration, slots: tuple[int, ...]
) -> np.ndarray:
    side = math.isqrt(CONFIGURATIONS[configuration])
    cell = SIZE * OVERSAMPLING / side
    radius = cell / 2 * SCALES[size]
    corners = CORNERS[POLYGONS[shape]]
    turn = math.pi / 4 if corners == 4 else 0.0
    picture = Image.new("L", (SIZE * OVERSAMPLING, SIZE * OVERSAMPLING), 255)
    draw = ImageDraw.Draw(picture)
    for slot in slots:
        x, y = cell * (slot % side + 0.5), cell * (slot // side + 0.5)
        angles = (turn + 2 * math.pi * step / corners for step in range(corners))
        outline = [(x + radius * math.sin(angle), y - radius * math.cos(angle)) for angle in angles]
        draw.polygon(outline, fill=FILLS[color], outline=0, width=OVERSAMPLING * 2)
    return np.asarray(picture.reduce(OVERSAMPLING))
