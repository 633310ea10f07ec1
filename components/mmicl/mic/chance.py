"""Draws that depend on names alone: no state, no order of input, the same on every machine."""

import hashlib
import json


def draw(count: int, *parts: str | int) -> int:
    """Draw a number of 0 … count - 1 that is a pure function of `parts`.

    Args:
        count: How many outcomes there are, at least 1.
        parts: What the draw is for, such as the seed, the purpose and an example's id.
    """
    text = json.dumps(parts, ensure_ascii=False)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") % count


def rank(*parts: str | int) -> str:
    """A sort key that shuffles: ordering by it is a pure function of `parts`."""
    return hashlib.sha256(json.dumps(parts, ensure_ascii=False).encode()).hexdigest()
