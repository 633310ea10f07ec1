"""Pictures in a fixed number of words, so that a language model can read what it cannot see.

A Q-Former hands the language model a fixed number of vectors per picture; a description hands it
the same number of words. Each thing takes four (size, colour, shape, cell) in reading order; what
is left over is filled with `nothing`.
"""

from dataclasses import dataclass

from mmicl.errors import UserError
from mmicl.world.matrices import Panel
from mmicl.world.scenes import MAX_THINGS, Scene, Thing

WORDS_PER_THING = 4
DESCRIPTION_WORDS = MAX_THINGS * WORDS_PER_THING
FILLER = "nothing"


@dataclass(frozen=True)
class Crop:
    """One thing of a scene, cut out along its box."""

    scene: Scene
    thing: Thing


Picture = Scene | Crop | Panel


def describe(picture: Picture, words: int = DESCRIPTION_WORDS) -> tuple[str, ...]:
    """Describe a picture in exactly `words` words.

    A crop shows its thing large and in the centre, with whatever lies inside it.

    Raises:
        UserError: There are too few words for the picture.
    """
    if isinstance(picture, Panel):
        found = picture.words()
    elif isinstance(picture, Crop):
        found = _describe_crop(picture)
    else:
        found = [
            word
            for thing in picture.things
            for word in (thing.size, thing.color, thing.shape, thing.cell)
        ]
    if len(found) > words:
        raise UserError(
            f"a picture needs {len(found)} words, {words} were allowed", where="describe"
        )
    return tuple(found) + (FILLER,) * (words - len(found))


def _describe_crop(crop: Crop) -> list[str]:
    thing = crop.thing
    found = ["large", thing.color, thing.shape, "center"]
    for other in crop.scene.things:
        if thing.size == "large" and other.size == "small" and other.cell == thing.cell:
            found += ["small", other.color, other.shape, "center"]
    return found
