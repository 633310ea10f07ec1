"""What is asked of the panels of a matrix, on the way to the one that completes it."""

from collections.abc import Sequence

from mmicl.world.matrices import ATTRIBUTES, Panel

SIDE = 3
"""Panels in a row, and in a column."""
NEAR = 2
FARTHER = 2 * NEAR + 1
"""Differences of levels from -NEAR to NEAR have a class each, all others this one."""
UNASKED = -1


def compare(panels: Sequence[Panel], place: int) -> list[int]:
    """How a panel differs from that to its left and from the one above, by attribute.

    Classes of `panel's level - other's level`; UNASKED where there is no such panel.
    """
    others = (
        panels[place - 1] if place % SIDE else None,
        panels[place - SIDE] if place >= SIDE else None,
    )
    found = []
    for other in others:
        if other is None:
            found += [UNASKED] * len(ATTRIBUTES)
            continue
        changes = [
            here - there for here, there in zip(panels[place].levels, other.levels, strict=True)
        ]
        found += [change + NEAR if abs(change) <= NEAR else FARTHER for change in changes]
    return found
