"""Several pictures of one scene: its objects apart (VCR), and its movement in time."""

import itertools
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

from mmicl.records import Split
from mmicl.world.attributes import COLORS, GRID, SHAPES, SIZES, list_combinations
from mmicl.world.scenes import RELATIONS, Scene, Thing, arrange, hold_relation, sample_scene

Token = str | list[int]
"""A word, or the objects (0-based) it stands for, as in VCR's token lists."""


@dataclass(frozen=True)
class ObjectQuestion:
    """A question about objects of a scene with four answers and four reasons, one of each right."""

    question: list[Token]
    answers: list[list[Token]]
    answer: int
    reasons: list[list[Token]]
    reason: int


def ask_about_objects(scene: Scene, rng: random.Random) -> ObjectQuestion:
    """Ask about one or two objects of a scene, by number.

    Right and wrong choices come from one distribution, so that the texts alone give nothing away.
    """
    first, second = rng.sample(range(len(scene.things)), 2)
    kinds = (_ask_color, _ask_shape, _ask_relation, _ask_which)
    while (asked := rng.choice(kinds)(scene, first, second, rng)) is None:
        first, second = rng.sample(range(len(scene.things)), 2)
    question, right, wrong = asked
    answers, answer = _shuffle_in(right, wrong, rng)
    told = describe_object(scene.things[first], first)
    reasons, reason = _shuffle_in(told, _misdescribe(scene.things[first], first, rng), rng)
    return ObjectQuestion(question, answers, answer, reasons, reason)


Asked = tuple[list[Token], list[Token], list[list[Token]]]


def _ask_color(scene: Scene, first: int, second: int, rng: random.Random) -> Asked:
    color = scene.things[first].color
    others = rng.sample([name for name in COLORS if name != color], 3)
    question: list[Token] = ["What", "color", "is", [first], "?"]
    return question, [[first], "is", color, "."], [[[first], "is", name, "."] for name in others]


def _ask_shape(scene: Scene, first: int, second: int, rng: random.Random) -> Asked:
    shape = scene.things[first].shape
    others = rng.sample([name for name in SHAPES if name != shape], 3)
    question: list[Token] = rng.choice(
        (["What", "is", [first], "?"], ["What", "shape", "is", [first], "?"])
    )
    answer: list[Token] = [[first], "is", "a", shape, "."]
    return question, answer, [[[first], "is", "a", name, "."] for name in others]


def _ask_relation(scene: Scene, first: int, second: int, rng: random.Random) -> Asked | None:
    pair = scene.things[first], scene.things[second]
    true = [name for name in RELATIONS if hold_relation(pair[0], name, pair[1])]
    if not true:
        return None
    others = rng.sample([name for name in RELATIONS if name not in true], 3)
    question: list[Token] = ["Where", "is", [first], "?"]
    told = [[[first], "is", *name.split(), [second], "."] for name in (rng.choice(true), *others)]
    return question, told[0], told[1:]


def _ask_which(scene: Scene, first: int, second: int, rng: random.Random) -> Asked | None:
    attribute = rng.choice(("size", "color"))
    value = getattr(scene.things[first], attribute)
    right = [
        index for index, thing in enumerate(scene.things) if getattr(thing, attribute) == value
    ]
    # as many objects in each choice: their number must not give the right one away
    groups = [
        list(group)
        for group in itertools.combinations(range(len(scene.things)), len(right))
        if list(group) != right
    ]
    if len(groups) < 3:
        return None
    verb = "is" if len(right) == 1 else "are"
    question: list[Token] = ["Which", "objects", "are", value, "?"]
    told: list[list[Token]] = [
        [group, verb, value, "."] for group in (right, *rng.sample(groups, 3))
    ]
    return question, told[0], told[1:]


def describe_object(thing: Thing, index: int) -> list[Token]:
    """Say everything about one object."""
    words = [
        "is",
        "a",
        thing.size,
        thing.color,
        thing.shape,
        "in",
        "the",
        *thing.place.split(),
        ".",
    ]
    return [[index], *words]


def _misdescribe(thing: Thing, index: int, rng: random.Random) -> list[list[Token]]:
    """Three wrong descriptions: two attributes take two values each, as in the right one."""
    cells = [(row, column) for row in range(GRID) for column in range(GRID)]
    row, column = rng.choice([cell for cell in cells if cell != (thing.row, thing.column)])
    changes = {
        "color": {"color": rng.choice([name for name in COLORS if name != thing.color])},
        "shape": {"shape": rng.choice([name for name in SHAPES if name != thing.shape])},
        "size": {"size": next(name for name in SIZES if name != thing.size)},
        "place": {"row": row, "column": column},
    }
    one, other = (changes[name] for name in rng.sample(sorted(changes), 2))
    return [
        describe_object(replace(thing, **change), index)
        for change in (one, other, {**one, **other})
    ]


def _shuffle_in(
    right: list[Token], wrong: list[list[Token]], rng: random.Random
) -> tuple[list[list[Token]], int]:
    """Put the right choice among the wrong ones."""
    place = rng.randint(0, len(wrong))
    return [*wrong[:place], right, *wrong[place:]], place


Event = Literal[
    "moves left",
    "moves right",
    "moves up",
    "moves down",
    "changes color",
    "disappears",
    "appears",
    "stays still",
]
EVENTS: tuple[Event, ...] = get_args(Event)
DIRECTIONS: dict[str, tuple[int, int]] = {
    "moves left": (0, -1), "moves right": (0, 1), "moves up": (-1, 0), "moves down": (1, 0),
}  # fmt: skip


@dataclass(frozen=True)
class MovingSequence:
    """Frames of one scene in which one thing does something, in the order of time."""

    frames: tuple[Scene, ...]
    subject: str
    event: Event

    @property
    def question(self) -> str:
        """What the subject does."""
        return f"What does the {self.subject} do?"

    @property
    def answer(self) -> str:
        """The event, as an answer."""
        return self.event


def sample_sequence(rng: random.Random, split: Split, frames: int = 4) -> MovingSequence:
    """Draw a sequence: one thing, alone of its shape, moves, changes, comes or goes."""
    while True:
        event = rng.choice(EVENTS)
        scene = sample_scene(rng, split, least=1, most=3, inside=0)
        thing = rng.choice(scene.things)
        if len(scene.select(shape=thing.shape)) > 1:
            continue
        rest = [other for other in scene.things if other is not thing]
        states = _play(thing, event, frames, rng, split)
        taken = {(other.row, other.column) for other in rest}
        if states is None or any(it and (it.row, it.column) in taken for it in states):
            continue
        shown = tuple(arrange([*rest, *([state] if state else [])], scene.look) for state in states)
        return MovingSequence(shown, thing.shape, event)


def _play(
    thing: Thing, event: Event, frames: int, rng: random.Random, split: Split
) -> Sequence[Thing | None] | None:
    """The thing in each frame (None: not there), or None where it cannot do this from here."""
    turn = rng.randint(1, frames - 1)
    if event in DIRECTIONS:
        down, right = DIRECTIONS[event]
        start = [GRID - 1 if step < 0 else 0 for step in (down, right)]
        states: list[Thing | None] = []
        for frame in range(frames):
            progress = round(frame * (GRID - 1) / (frames - 1))
            row = start[0] + down * progress if down else thing.row
            column = start[1] + right * progress if right else thing.column
            states.append(Thing(thing.shape, thing.color, thing.size, row, column))
        return states
    if event == "changes color":
        colors = [item.color for item in list_combinations(split) if item.shape == thing.shape]
        others = [color for color in colors if color != thing.color]
        if not others:
            return None
        other = Thing(thing.shape, rng.choice(others), thing.size, thing.row, thing.column)
        return [thing] * turn + [other] * (frames - turn)
    if event == "disappears":
        return [thing] * turn + [None] * (frames - turn)
    if event == "appears":
        return [None] * turn + [thing] * (frames - turn)
    return [thing] * frames
