"""Pictures in words, so that a language model can read what it cannot see.

A Q-Former hands the language model a fixed number of vectors per picture. A description has as many
slots, each a phrase: the k-th thing in reading order (size, colour, shape, row, column), or a whole
matrix panel (count, size, fill, shape), or `nothing`. A phrase stands for one vector, such as the
sum of its words' embeddings.
"""

from dataclasses import dataclass

from mmicl.errors import UserError
from mmicl.world.attributes import COLUMNS, ROWS
from mmicl.world.matrices import Panel
from mmicl.world.scenes import Scene, Thing

SLOTS = 4
PHRASE_WORDS = 5
"""Words of a phrase, at most."""
COLOR, SHAPE = 1, 2
"""Their places in the phrase of a thing: size, colour, shape, row, column."""
NOTHING = "nothing"


@dataclass(frozen=True)
class Crop:
    """One thing of a scene, cut out along its box."""

    scene: Scene
    thing: Thing


Picture = Scene | Crop | Panel


def describe(picture: Picture, slots: int = SLOTS) -> tuple[str, ...]:
    """Describe a picture in exactly `slots` phrases.

    A crop shows its thing large and in the middle, with whatever lies inside it.

    Raises:
        UserError: There are too few slots for the picture.
    """
    if isinstance(picture, Panel):
        found = [" ".join(picture.words())]
    elif isinstance(picture, Crop):
        found = _describe_crop(picture)
    else:
        found = [describe_thing(thing) for thing in picture.things]
    if len(found) > slots:
        raise UserError(f"a picture needs {len(found)} slots, {slots} were given", where="describe")
    return tuple(found) + (NOTHING,) * (slots - len(found))


def describe_thing(thing: Thing) -> str:
    """Everything about a thing in five words."""
    row, column = ROWS[thing.row], COLUMNS[thing.column]
    return f"{thing.size} {thing.color} {thing.shape} {row} {column}"


def _describe_crop(crop: Crop) -> list[str]:
    thing = crop.thing
    found = [f"large {thing.color} {thing.shape} {ROWS[1]} {COLUMNS[1]}"]
    for other in crop.scene.things:
        same = (other.row, other.column) == (thing.row, thing.column)
        if same and thing.size == "large" and other.size == "small":
            found.append(f"small {other.color} {other.shape} {ROWS[1]} {COLUMNS[1]}")
    return found
