"""What a question says of a picture: which things it means, and which of them stand as it says."""

import re
from dataclasses import dataclass
from functools import lru_cache

from mmicl.world.attributes import COLORS, SHAPES, SIZES, pluralize
from mmicl.world.language import GENERIC, RELATION_PHRASES
from mmicl.world.scenes import Relation, Scene, Thing, hold_relation
from mmicl.world.statements import SIDES

PHRASES: dict[str, Relation] = {
    phrase: name
    for name, known in RELATION_PHRASES.items()
    for phrase in (*known, *([SIDES[name]] if name in SIDES else []))
}
SINGULAR = {plural: noun for noun in SHAPES for plural in (noun, pluralize(noun))}
NOUNS = "|".join(
    sorted((*SINGULAR, *(word for noun in ("shape", *GENERIC) for word in (noun, f"{noun}s"))),
           key=len, reverse=True)
)  # fmt: skip
RELATION = re.compile(rf"\b({'|'.join(sorted(PHRASES, key=len, reverse=True))})\b")
NOUN_PHRASE = re.compile(
    rf"\b(?:({'|'.join(SIZES)}) )?(?:({'|'.join(COLORS)}) )?({NOUNS})\b"
)  # fmt: skip


@dataclass(frozen=True)
class Noun:
    """A noun phrase; None where it leaves an attribute open."""

    size: str | None
    color: str | None
    shape: str | None

    def means(self, thing: Thing) -> bool:
        """Whether the phrase fits a thing."""
        pairs = ((self.size, thing.size), (self.color, thing.color), (self.shape, thing.shape))
        return all(wanted in (None, found) for wanted, found in pairs)


@dataclass(frozen=True)
class Claim:
    """The noun phrases of a question, and the relation between those of its two sides."""

    before: tuple[Noun, ...]
    relation: Relation | None = None
    after: tuple[Noun, ...] = ()

    def means(self, thing: Thing) -> bool:
        """Whether any of its phrases fits a thing."""
        return any(noun.means(thing) for noun in self.before + self.after)

    def leads(self, thing: Thing) -> bool:
        """Whether a thing may be the one that is said to stand somewhere."""
        return self.relation is not None and (not self.before or self.before[-1].means(thing))

    def holds(self, scene: Scene, thing: Thing) -> bool:
        """Whether a thing stands as the claim says, to something that the claim means."""
        relation = self.relation
        if relation is None or not self.after or not self.leads(thing):
            return False
        return any(
            other is not thing
            and self.after[0].means(other)
            and hold_relation(thing, relation, other)
            for other in scene.things
        )


def split_claim(text: str) -> tuple[str, Relation | None, str]:
    """A claim up to its relation, the relation, and what stands behind it."""
    found = RELATION.search(text.lower())
    if found is None:
        return text, None, ""
    return text[: found.start()].rstrip(), PHRASES[found.group()], text[found.end() :].lstrip()


@lru_cache(maxsize=4096)
def read_claim(text: str) -> Claim:
    """What a question, statement or caption of the world claims."""
    before, relation, after = split_claim(text)
    return Claim(list_nouns(before.lower()), relation, list_nouns(after.lower()))


def list_nouns(text: str) -> tuple[Noun, ...]:
    """The noun phrases that say more than `shape` or `thing`."""
    found = [
        Noun(size, color, SINGULAR.get(noun)) for size, color, noun in (
            match.groups() for match in NOUN_PHRASE.finditer(text)
        )
    ]  # fmt: skip
    return tuple(noun for noun in found if noun != Noun(None, None, None))
