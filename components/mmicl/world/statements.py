"""Pairs of yes/no questions about one picture, one of each answer, in the manner of MME."""

import random
from typing import Literal, NamedTuple

from mmicl.records import Split
from mmicl.world.attributes import (
    COLORS,
    NUMBERS,
    SHAPES,
    add_article,
    list_combinations,
    pluralize,
)
from mmicl.world.language import capitalize, name_thing
from mmicl.world.scenes import MAX_THINGS, RELATIONS, Scene, hold_relation, sample_scene

Subtask = Literal["existence", "count", "position", "color"]
SUBTASKS: tuple[Subtask, ...] = ("existence", "count", "position", "color")
"""The perception sub-tasks of MME that the world can fill."""
ENDING = "Please answer yes or no."
SIDES = {
    "left of": "on the left side of", "right of": "on the right side of", "above": "above",
    "below": "under",
}  # fmt: skip


class YesNoPair(NamedTuple):
    """A scene, and a question to which yes is right, and one to which no is."""

    scene: Scene
    yes: str
    no: str


def sample_yes_no_pair(rng: random.Random, split: Split, subtask: Subtask) -> YesNoPair:
    """Draw a scene and two questions of a sub-task about it."""
    while True:
        scene = sample_scene(rng, split)
        texts = _ASKERS[subtask](scene, rng, split)
        if texts is not None:
            yes, no = (f"{capitalize(text)} {ENDING}" for text in texts)
            return YesNoPair(scene, yes, no)


def _ask_existence(scene: Scene, rng: random.Random, _: Split) -> tuple[str, str]:
    here = sorted({thing.shape for thing in scene.things})
    absent = [shape for shape in SHAPES if shape not in here]
    form = "is there {} in this image?"
    return (
        form.format(add_article(rng.choice(here))),
        form.format(add_article(rng.choice(absent))),
    )


def _ask_count(scene: Scene, rng: random.Random, _: Split) -> tuple[str, str]:
    thing = rng.choice(scene.things)
    word, wanted = rng.choice(
        [("shape", {}), (thing.shape, {"shape": thing.shape}),
         (f"{thing.color} shape", {"color": thing.color})]
    )  # fmt: skip
    right = len(scene.select(**wanted))
    wrong = rng.choice([n for n in range(1, MAX_THINGS + 1) if n != right and abs(n - right) < 3])

    def write(number: int) -> str:
        verb, noun = ("is", word) if number == 1 else ("are", pluralize(word))
        return f"{verb} there {NUMBERS[number]} {noun} in this image?"

    return write(right), write(wrong)


def _ask_position(scene: Scene, rng: random.Random, _: Split) -> tuple[str, str] | None:
    first, second = rng.sample(scene.things, 2)
    relation = rng.choice(RELATIONS[:4])
    alone = all(
        len(scene.select(shape=thing.shape, color=thing.color)) == 1 for thing in (first, second)
    )
    if not alone or not hold_relation(first, relation, second):
        return None
    opposite = {"left of": "right of", "right of": "left of", "above": "below", "below": "above"}
    names = [name_thing(thing, size=False).split(" ", 1)[1] for thing in (first, second)]
    form = f"is the {names[0]} {{}} the {names[1]}?"
    return form.format(SIDES[relation]), form.format(SIDES[opposite[relation]])


def _ask_color(scene: Scene, rng: random.Random, split: Split) -> tuple[str, str]:
    thing = rng.choice(scene.things)
    here = {item.color for item in scene.things if item.shape == thing.shape}
    own = [item.color for item in list_combinations(split) if item.shape == thing.shape]
    # validation has one colour a shape: there an absent one is only spoken of
    absent = sorted(set(own) - here) or sorted(set(COLORS) - here)
    form = "is there {} in the image?"
    return (
        form.format(add_article(f"{thing.color} {thing.shape}")),
        form.format(add_article(f"{rng.choice(absent)} {thing.shape}")),
    )


_ASKERS = {
    "existence": _ask_existence, "count": _ask_count, "position": _ask_position,
    "color": _ask_color,
}  # fmt: skip
