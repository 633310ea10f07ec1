"""Words for scenes: noun phrases, captions, and the whole vocabulary."""

import random
import re

from mmicl.world.attributes import (
    COLORS,
    GRADES,
    GREYS,
    NUMBERS,
    POLYGONS,
    SHAPES,
    SIZES,
    add_article,
    pluralize,
)
from mmicl.world.matrices import Panel
from mmicl.world.scenes import Relation, Scene, Thing, list_relations

GENERIC = ("object", "thing")
RELATION_PHRASES: dict[Relation, tuple[str, ...]] = {
    "left of": ("left of", "to the left of"),
    "right of": ("right of", "to the right of"),
    "above": ("above",),
    "below": ("below", "under"),
    "inside": ("inside",),
}
CAPTION_WORDS = (6, 16)

GRAMMAR = """
a above all an and answer appears are at below both bottom can center changes color contain
contains disappears do does down each either exactly has have how image images in inside is larger
least left many middle more moves neither no nothing number object objects of often on only or part
picture please position right same see shape shapes show shown shows side size smaller stays still
than the them there thing things this to top total under up what where which with yes you
"""

WORD = re.compile(r"[a-z]+|[0-9]+")


def list_words() -> tuple[str, ...]:
    """Every word that the world can write, lower-case and sorted; numbers stand alone."""
    words = {*SHAPES, *map(pluralize, SHAPES), *COLORS, *SIZES}
    words |= {*NUMBERS, *map(str, range(10)), *POLYGONS, *GREYS, *GRADES, *GRAMMAR.split()}
    return tuple(sorted(words))


def split_words(text: str) -> list[str]:
    """The words and numbers of a text, lower-case, without punctuation."""
    return WORD.findall(text.lower())


def capitalize(text: str) -> str:
    """The text with its first letter as a capital."""
    return text[0].upper() + text[1:]


def name_thing(thing: Thing, *, size: bool) -> str:
    """`a large red star`, or `a red star`."""
    phrase = f"{thing.color} {thing.shape}"
    return add_article(f"{thing.size} {phrase}" if size else phrase)


def list_references(scene: Scene, thing: Thing, omit: str, rng: random.Random) -> list[str]:
    """Phrases (without article) that mean this thing of the scene and no other.

    `omit` is the attribute that must not be given away. Shortest first.
    """
    generic = rng.choice(GENERIC)
    found: list[str] = []
    for names in (("shape",), ("color",), ("color", "shape"), ("size", "shape"), ("size", "color"),
                  ("size", "color", "shape")):  # fmt: skip
        if omit in names or len(scene.select(**{name: getattr(thing, name) for name in names})) > 1:
            continue
        words = [getattr(thing, name) for name in ("size", "color", "shape") if name in names]
        found.append(" ".join(words if "shape" in names else [*words, generic]))
    return found


def refer(scene: Scene, thing: Thing, omit: str, rng: random.Random) -> str | None:
    """One phrase that means this thing alone, mostly a short one; None where there is none."""
    found = list_references(scene, thing, omit, rng)
    if not found:
        return None
    return found[0] if rng.random() < 0.6 else rng.choice(found)


def join_phrases(phrases: list[str]) -> str:
    """`x`, `x and y`, `x, y and z`."""
    return " and ".join([", ".join(phrases[:-1]), phrases[-1]]) if len(phrases) > 1 else phrases[0]


def caption_all(scene: Scene, rng: random.Random) -> str:
    """A caption that lists every thing."""
    size = len(scene.things) < 4
    listing = join_phrases([name_thing(thing, size=size) for thing in scene.things])
    if len(split_words(listing)) > CAPTION_WORDS[1] - 3:
        return f"{listing}."
    return rng.choice(("{}.", "a picture of {}.", "there is {}.")).format(listing)


def caption_pair(scene: Scene, rng: random.Random) -> str:
    """A caption that says how two things stand to each other."""
    first, second = rng.sample(scene.things, 2)
    if not (found := list_relations(first, second)):
        first, second = second, first
        found = list_relations(first, second)
    relation = rng.choice(RELATION_PHRASES["inside" if "inside" in found else rng.choice(found)])
    size = rng.random() < 0.5
    left, right = name_thing(first, size=size), name_thing(second, size=size)
    forms = ("{} is {} {}.", "{} {} {}.", "there is {} {} {}.", "a picture of {} {} {}.")
    return rng.choice(forms).format(left, relation, right)


def caption_place(scene: Scene, rng: random.Random) -> str:
    """A caption that says where one thing is."""
    thing = rng.choice(scene.things)
    phrase = name_thing(thing, size=rng.random() < 0.5)
    place = thing.place
    forms = ("{} in the {} of the picture.", "{} is at the {}.", "there is {} in the {}.")
    return rng.choice(forms).format(phrase, place)


def caption_count(scene: Scene, rng: random.Random) -> str:
    """A caption that counts two or more things, and names one."""
    thing = rng.choice(scene.things)
    forms = ("{} shapes, one of them is {}.", "a picture of {} shapes with {}.")
    return rng.choice(forms).format(NUMBERS[len(scene.things)], name_thing(thing, size=False))


def write_captions(scene: Scene, rng: random.Random, count: int = 5) -> list[str]:
    """Different captions of a scene, of six to sixteen words; one of them names everything."""
    kinds = [caption_all, caption_place]
    if len(scene.things) > 1:
        kinds += [caption_pair, caption_pair, caption_count]
    captions: list[str] = []
    kind = caption_all
    while len(captions) < count:
        caption = capitalize(kind(scene, rng))
        long_enough = CAPTION_WORDS[0] <= len(split_words(caption)) <= CAPTION_WORDS[1]
        if caption not in captions and long_enough:
            captions.append(caption)
        kind = rng.choice(kinds)
    rng.shuffle(captions)
    return captions


def write_panel_captions(panel: Panel) -> list[str]:
    """Five captions of a matrix panel: how many, how large, which fill, which shape."""
    number, size, fill, noun = panel.words()
    noun, verb = (noun, "is") if panel.number == 0 else (pluralize(noun), "are")
    words = f"{number} {size} {fill} {noun}"
    return [
        capitalize(caption)
        for caption in (
            f"{words} on a white ground.",
            f"a panel with {words}.",
            f"a picture of {words}.",
            f"there {verb} {words}.",
            f"a drawing that shows {words}.",
        )
    ]
