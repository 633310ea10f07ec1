"""A small procedural world that writes the official file formats of real datasets.

Scenes of coloured shapes, pairs, sequences and matrices; sampling (`scenes`, `pairs`, `episodes`,
`matrices`), rendering (`rendering`, `panels`), language (`language`, `questions`) and the official
formats (`writers`) are modules of their own. Everything is a pure function of (name, n, seed).
"""

from mmicl.world.description import SLOTS, describe
from mmicl.world.generation import WRITERS, generate
from mmicl.world.language import list_words

__all__ = ["SLOTS", "WRITERS", "describe", "generate", "list_words"]
