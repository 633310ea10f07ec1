"""How a picture looks, in 192 bits: copies in another size or encoding differ in few of them.

A difference hash (N. Krawetz, "Kind of Like That", 2013) of each colour channel: whether each cell
of an 8 x 8 grid is darker than its right neighbour. Grey alone would call a red and a blue disc of
one brightness the same.
"""

import numpy as np
from PIL import Image

from mmicl.records import Row

GRID = 8
BITS = 3 * GRID * GRID
PICTURES = "pictures.parquet"
"""The table of a dataset's `PictureRow`s, beside its Examples."""


class PictureRow(Row):
    """A stored picture: its key in the store, its size in pixels, its look in hexadecimals."""

    sha256: str
    width: int
    height: int
    look: str


def hash_look(image: Image.Image) -> str:
    """The look of a decoded picture of any mode, as 48 hexadecimals."""
    small = image.convert("RGB").resize((GRID + 1, GRID), Image.Resampling.BOX)
    cells = np.asarray(small, dtype=np.int16)
    return np.packbits(cells[:, :-1] < cells[:, 1:]).tobytes().hex()
