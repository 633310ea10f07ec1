"""Boxes of official records as whole pixels."""

import math

from mmicl.records import ImageBox
from mmicl.sources.official import RecordError


def cut_box(
    left: float, top: float, right: float, bottom: float, size: tuple[int, int]
) -> ImageBox:
    """The smallest box of whole pixels around a box, cut off at the picture's edges.

    Raises:
        RecordError: Nothing of it lies within the picture, or a number is not finite.
    """
    numbers = (left, top, right, bottom)
    if not all(map(math.isfinite, numbers)):
        raise RecordError("bad_box", f"box {numbers} is not finite")
    width, height = size
    box = ImageBox(
        max(math.floor(left), 0), max(math.floor(top), 0),
        min(math.ceil(right), width), min(math.ceil(bottom), height),
    )  # fmt: skip
    if box.left >= box.right or box.top >= box.bottom:
        raise RecordError("bad_box", f"box {numbers} is empty in a picture of {width} x {height}")
    return box
