"""Two pictures: sentences that are true of some pairs (NLVR2), captions that swap (Winoground)."""

import itertools
import random
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

from mmicl.records import Split
from mmicl.world.attributes import (
    NUMBERS,
    Combination,
    add_article,
    list_combinations,
    pluralize,
)
from mmicl.world.language import RELATION_PHRASES, capitalize, name_thing
from mmicl.world.scenes import Relation, Scene, Thing, arrange, hold_relation, sample_scene

Quantifier = Literal["left", "right", "both", "neither", "one", "any", "total", "more", "fewer"]
QUANTIFIERS: tuple[Quantifier, ...] = (
    "left", "right", "both", "neither", "one", "any", "total", "more", "fewer",
)  # fmt: skip

PAIRS_PER_SET = 4
"""As in NLVR2: a sentence is written for four pairs, true of two of them."""


@dataclass(frozen=True)
class Kind:
    """Things of a shape, of a colour, or of both."""

    shape: str | None
    color: str | None

    @property
    def noun(self) -> str:
        """The kind in the singular."""
        return " ".join(word for word in (self.color, self.shape or "shape") if word)

    def count(self, scene: Scene) -> int:
        """How many of this kind a scene has."""
        return len(scene.select(shape=self.shape, color=self.color))


@dataclass(frozen=True)
class Statement:
    """A sentence about two pictures, with what decides whether it is true.

    `kind` things in relation `relation` to `other` things (or just `kind` things, where it is
    None) are looked for in the pictures that `quantifier` means; `number` belongs to `total`.
    """

    text: str
    quantifier: Quantifier
    kind: Kind
    relation: Relation | None = None
    other: Kind | None = None
    number: int = 0

    def contains(self, scene: Scene) -> bool:
        """Whether one picture has what the sentence speaks of."""
        if self.relation is None or self.other is None:
            return self.kind.count(scene) > 0
        return any(
            hold_relation(first, self.relation, second)
            for first in scene.select(shape=self.kind.shape, color=self.kind.color)
            for second in scene.select(shape=self.other.shape, color=self.other.color)
        )

    def holds(self, left: Scene, right: Scene) -> bool:
        """Whether the sentence is true of a pair."""
        counts = self.kind.count(left), self.kind.count(right)
        has = self.contains(left), self.contains(right)
        return {
            "left": has[0],
            "right": has[1],
            "both": all(has),
            "neither": not any(has),
            "one": has[0] != has[1],
            "any": any(has),
            "total": sum(counts) == self.number,
            "more": counts[0] > counts[1],
            "fewer": counts[0] < counts[1],
        }[self.quantifier]


FORMS: dict[Quantifier, tuple[str, ...]] = {
    "left": ("the left image contains {a}.", "there is {a} in the left image."),
    "right": ("the right image contains {a}.", "there is {a} in the right image."),
    "both": ("both images contain {a}.", "there is {a} in each image."),
    "neither": ("neither image contains {a}.", "there is no {noun} in either image."),
    "one": ("exactly one image contains {a}.", "only one of the images shows {a}."),
    "any": ("at least one image contains {a}.", "there is {a} in at least one image."),
    "total": ("there are exactly {number} {plural} in total.",
              "the images show {number} {plural} in all."),
    "more": ("there are more {plural} in the left image than in the right image.",
             "the left image contains more {plural} than the right one."),
    "fewer": ("there are more {plural} in the right image than in the left image.",
              "the right image contains more {plural} than the left one."),
}  # fmt: skip


def draw_statement(rng: random.Random, palette: tuple[Combination, ...]) -> Statement:
    """Draw a sentence about kinds that the palette makes likely."""
    quantifier = rng.choice(QUANTIFIERS)
    shape, color = rng.choice(palette)
    which = rng.choice(("shape", "color", "both"))
    kind = Kind(None if which == "color" else shape, None if which == "shape" else color)
    if quantifier in ("total", "more", "fewer"):
        number = rng.randint(1, 4)
        plural = pluralize(kind.noun)
        if number == 1 and quantifier == "total":
            form, plural = "there is exactly {number} {plural} in total.", kind.noun
        else:
            form = rng.choice(FORMS[quantifier])
        text = form.format(number=NUMBERS[number], plural=plural)
        return Statement(capitalize(text), quantifier, kind, number=number)
    relation, other, phrase = None, None, ""
    if quantifier != "neither" and rng.random() < 0.3:
        relation = rng.choice(("left of", "right of", "above", "below"))
        shape, color = rng.choice(palette)
        other = Kind(shape, None) if rng.random() < 0.5 else Kind(None, color)
        phrase = f" {rng.choice(RELATION_PHRASES[relation])} {add_article(other.noun)}"
    text = rng.choice(FORMS[quantifier]).format(a=add_article(kind.noun) + phrase, noun=kind.noun)
    return Statement(capitalize(text), quantifier, kind, relation, other)


@dataclass(frozen=True)
class PairSet:
    """Four pairs, and sentences each of which is true of exactly two of them."""

    pairs: tuple[tuple[Scene, Scene], ...]
    statements: tuple[Statement, ...]


def sample_pair_set(rng: random.Random, split: Split, sentences: int = 2) -> PairSet:
    """Draw pairs of scenes over a few combinations, and sentences that divide them evenly."""
    combinations = list_combinations(split)
    while True:
        palette = tuple(rng.sample(combinations, 6))
        pairs = tuple(
            (
                sample_scene(rng, split, least=1, palette=palette),
                sample_scene(rng, split, least=1, palette=palette),
            )
            for _ in range(PAIRS_PER_SET)
        )
        found: dict[str, Statement] = {}
        for _ in range(80):
            statement = draw_statement(rng, palette)
            if sum(statement.holds(*pair) for pair in pairs) == PAIRS_PER_SET // 2:
                found.setdefault(statement.text, statement)
            if len(found) == sentences:
                return PairSet(pairs, tuple(found.values()))


@dataclass(frozen=True)
class Swap:
    """Two pictures and two captions of the same words; caption i fits picture i alone."""

    scenes: tuple[Scene, Scene]
    captions: tuple[str, str]
    tag: str
    collapsed_tag: Literal["Object", "Relation", "Both"]


def sample_swap(rng: random.Random, split: Split) -> Swap:
    """Draw a pair that differs in who stands where, or in which thing has which attribute."""
    swaps = list_color_swaps(split)
    kind = rng.choice(("relation", "relation", "size", *(["color"] if swaps else [])))
    while True:
        first, second = draw_two(rng, split)
        if kind == "relation":
            relation: Relation = rng.choice(("left of", "right of", "above", "below"))
            if not hold_relation(first, relation, second):
                continue
            phrase = rng.choice(RELATION_PHRASES[relation])
            names = name_thing(first, size=False), name_thing(second, size=False)
            captions = f"{names[0]} {phrase} {names[1]}", f"{names[1]} {phrase} {names[0]}"
            exchanged = move(second, first), move(first, second)
            tag, collapsed = "Relation-Place", "Relation"
        elif kind == "color":
            one, other = rng.choice(swaps)
            first = replace(first, shape=one.shape, color=one.color)
            second = replace(second, shape=other.shape, color=other.color)
            exchanged = replace(first, color=other.color), replace(second, color=one.color)
            captions = join_two(first, second, size=False), join_two(*exchanged, size=False)
            tag, collapsed = "Adjective-Color", "Object"
        else:
            exchanged = replace(first, size=second.size), replace(second, size=first.size)
            if first.size == second.size:
                continue
            captions = join_two(first, second, size=True), join_two(*exchanged, size=True)
            tag, collapsed = "Adjective-Size", "Object"
        scenes = (
            arrange([first, second], rng.getrandbits(32)),
            arrange(list(exchanged), rng.getrandbits(32)),
        )
        return Swap(scenes, captions, tag, collapsed)


@lru_cache
def list_color_swaps(split: Split) -> list[tuple[Combination, Combination]]:
    """Combinations that can exchange their colours within the split; validation has none."""
    allowed = set(list_combinations(split))
    return [
        (one, other)
        for one, other in itertools.permutations(sorted(allowed), 2)
        if one.shape != other.shape
        and one.color != other.color
        and {Combination(one.shape, other.color), Combination(other.shape, one.color)} <= allowed
    ]


def draw_two(rng: random.Random, split: Split) -> tuple[Thing, Thing]:
    """Two things of different shapes and colours, in random order."""
    while True:
        things = list(sample_scene(rng, split, least=2, most=2, inside=0).things)
        if things[0].shape != things[1].shape and things[0].color != things[1].color:
            rng.shuffle(things)
            return things[0], things[1]


def move(thing: Thing, to: Thing) -> Thing:
    """The thing at another's place."""
    return replace(thing, row=to.row, column=to.column)


def join_two(first: Thing, second: Thing, *, size: bool) -> str:
    """`a red star and a blue circle`."""
    return f"{name_thing(first, size=size)} and {name_thing(second, size=size)}"
