"""What can be wrong with the pictures of a row, by the sizes that ingest wrote down."""

from collections.abc import Iterable, Mapping

from mmicl.records import ImageBox, split_reference

Sizes = Mapping[str, tuple[int, int]]
"""Key of a stored picture -> its width and height in pixels."""
MIN_SIDE = 8
"""Pixels: what is smaller shows nothing once it is scaled up to the vision tower's input."""
MAX_RATIO = 10.0
"""Of the longer side to the shorter: what is longer is squeezed beyond recognition."""


def count_lost(references: Iterable[str], known: Sizes) -> int:
    """References to pictures that are not known, and crops that do not lie within theirs."""
    return sum(_find_size(one, known) is None for one in references)


def count_odd_sizes(references: Iterable[str], known: Sizes) -> int:
    """Pictures and crops that are very small or very long."""
    sizes = (_find_size(one, known) for one in references)
    return sum(min(size) < MIN_SIDE or max(size) > MAX_RATIO * min(size) for size in sizes if size)


def _find_size(reference: str, known: Sizes) -> tuple[int, int] | None:
    """Width and height of what a reference names; None if there is no such thing."""
    key, box = split_reference(reference)
    if key not in known:
        return None
    width, height = known[key]
    box = box or ImageBox(0, 0, width, height)
    if not (0 <= box.left < box.right <= width and 0 <= box.top < box.bottom <= height):
        return None
    return box.right - box.left, box.bottom - box.top
