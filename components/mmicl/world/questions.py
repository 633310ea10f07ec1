"""Questions about one scene, with answers of one or two words that follow from its structure."""

import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from mmicl.records import Split
from mmicl.world.attributes import COLORS, SHAPES, SIZES, add_article, list_combinations, pluralize
from mmicl.world.language import RELATION_PHRASES, capitalize, refer
from mmicl.world.scenes import (
    RELATIONS,
    Scene,
    Thing,
    hold_relation,
)

AnswerType = Literal["yes/no", "number", "other"]


@dataclass(frozen=True)
class Question:
    """A question with its answer. `opening` is VQA's question_type: how the question begins."""

    text: str
    answer: str
    kind: str
    opening: str
    answer_type: AnswerType
    alternatives: tuple[str, ...]
    """Wrong answers of the same kind."""


def make_question(
    rng: random.Random, kind: str, forms: tuple[str, ...], slots: tuple[str, ...], answer: str,
    alternatives: tuple[str, ...],
) -> Question:  # fmt: skip
    """Fill one of several phrasings. A form reads `opening|rest`, with slots as {}."""
    opening, rest = rng.choice(forms).split("|")
    answer_type: AnswerType = "other"
    if answer in ("yes", "no"):
        answer_type = "yes/no"
    elif answer.isdigit():
        answer_type = "number"
    wrong = tuple(item for item in alternatives if item != answer)
    text = capitalize(f"{opening}{rest}".format(*slots))
    return Question(text, answer, kind, opening.strip(), answer_type, wrong)


def ask_color(scene: Scene, rng: random.Random, split: Split) -> Question | None:
    """What colour a thing has, named without it."""
    thing = rng.choice(scene.things)
    if (name := refer(scene, thing, "color", rng)) is None:
        return None
    forms = ("what color is the| {}?", "what is the| color of the {}?", "which color| has the {}?")
    return make_question(rng, "color", forms, (name,), thing.color, tuple(COLORS))


def ask_shape(scene: Scene, rng: random.Random, split: Split) -> Question | None:
    """What shape a thing has, named without it."""
    thing = rng.choice(scene.things)
    if (name := refer(scene, thing, "shape", rng)) is None:
        return None
    forms = ("what shape is the| {}?", "what is the| shape of the {}?", "which shape| is the {}?")
    return make_question(rng, "shape", forms, (name,), thing.shape, SHAPES)


def ask_size(scene: Scene, rng: random.Random, split: Split) -> Question | None:
    """Whether a thing is small or large."""
    thing = rng.choice(scene.things)
    if (name := refer(scene, thing, "size", rng)) is None:
        return None
    forms = ("what size is the| {}?", "how large| is the {}?", "what is the| size of the {}?")
    return make_question(rng, "size", forms, (name,), thing.size, SIZES)


def ask_place(scene: Scene, rng: random.Random, split: Split) -> Question | None:
    """In which of the nine cells a thing is."""
    thing = rng.choice(scene.things)
    if (name := refer(scene, thing, "", rng)) is None:
        return None
    forms = (
        "where is the| {}?", "what is the| position of the {}?",
        "in which part| of the picture is the {}?",
    )  # fmt: skip
    places = ("top left", "top", "top right", "left", "center", "right", "bottom left", "bottom",
              "bottom right")  # fmt: skip
    return make_question(rng, "place", forms, (name,), thing.place, places)


def ask_count(scene: Scene, rng: random.Random, split: Split) -> Question | None:
    """How many things there are: all, of a colour, of a shape, of a size."""
    kind = rng.choice(("all", "color", "shape", "size"))
    if kind == "all":
        noun, count = rng.choice(("shapes", "objects", "things")), len(scene.things)
    elif kind == "color":
        # mostly of what is there, so that zero does not become the usual answer
        here = [thing.color for thing in scene.things]
        color = rng.choice(here * 2 + [rng.choice(tuple(COLORS))])
        noun, count = f"{color} {rng.choice(('shapes', 'objects'))}", len(scene.select(color=color))
    elif kind == "shape":
        here = [thing.shape for thing in scene.things]
        shape = rng.choice(here * 2 + [rng.choice(SHAPES)])
        noun, count = pluralize(shape), len(scene.select(shape=shape))
    else:
        size = rng.choice(SIZES)
        noun, count = f"{size} shapes", len(scene.select(size=size))
    forms = ("how many| {} are there?", "how many| {} can you see?", "what number of| {} is shown?",
             "how many| {} are in the picture?")  # fmt: skip
    return make_question(rng, "count", forms, (noun,), str(count), tuple("01234"))


def ask_neighbor(scene: Scene, rng: random.Random, split: Split) -> Question | None:
    """What stands in a relation to a thing, where only one does."""
    anchor = rng.choice(scene.things)
    name = refer(scene, anchor, "", rng)
    unique: list[tuple[str, Thing]] = []
    for relation in RELATIONS:
        found = [thing for thing in scene.things if hold_relation(thing, relation, anchor)]
        if len(found) == 1:
            unique.append((rng.choice(RELATION_PHRASES[relation]), found[0]))
    if name is None or not unique:
        return None
    phrase, thing = rng.choice(unique)
    if rng.random() < 0.5:
        forms = ("what color is the| {} {} the {}?", "which color| has the {} {} the {}?")
        slots = rng.choice(("shape", "object")), phrase, name
        return make_question(rng, "neighbor", forms, slots, thing.color, tuple(COLORS))
    forms = ("what shape is| {} the {}?", "which shape| is {} the {}?")
    return make_question(rng, "neighbor", forms, (phrase, name), thing.shape, SHAPES)


def ask_existence(scene: Scene, rng: random.Random, split: Split) -> Question | None:
    """Whether there is a thing of a colour, a shape, or a combination of both."""
    answer = rng.choice(("yes", "no"))
    kind = rng.choice(("shape", "color", "both"))
    options = list_combinations(split)
    here = {thing.combination for thing in scene.things}
    if kind == "both":
        # absent ones share something with what is there: only binding tells them apart
        near = [
            item
            for item in options
            if item not in here
            and any(item.shape == it.shape or item.color == it.color for it in here)
        ]
        absent = near or [item for item in options if item not in here]
        shape, color = rng.choice(sorted(here) if answer == "yes" else absent)
        noun = f"{color} {shape}"
    elif kind == "shape":
        shapes = {item.shape for item in here}
        noun = rng.choice([name for name in SHAPES if (name in shapes) == (answer == "yes")])
    else:
        colors = {item.color for item in here}
        color = rng.choice([name for name in COLORS if (name in colors) == (answer == "yes")])
        noun = f"{color} {rng.choice(('shape', 'object'))}"
    forms = (
        "is there| {} in the picture?", "is there| {}?", "does the picture| show {}?",
        "can you see| {}?", "is there| {} in the image?",
    )  # fmt: skip
    return make_question(rng, "existence", forms, (add_article(noun),), answer, ("yes", "no"))


def ask_comparison(scene: Scene, rng: random.Random, split: Split) -> Question | None:
    """How two things compare: in place, in size, in colour or shape.

    Asked only where both yes and no could be the answer, so that neither is the better guess.
    """
    kind = rng.choice(("relation", "relation", "size", "color", "shape"))
    facts: dict[str, list[tuple[Thing, Thing, str]]] = {"yes": [], "no": []}
    for first, second in itertools.permutations(scene.things, 2):
        if kind == "relation":
            for name in RELATIONS[:4]:
                fact = (first, second, rng.choice(RELATION_PHRASES[name]))
                facts["yes" if hold_relation(first, name, second) else "no"].append(fact)
        elif kind == "size":
            for word, sizes in (("larger", ("large", "small")), ("smaller", ("small", "large"))):
                true = (first.size, second.size) == sizes
                facts["yes" if true else "no"].append((first, second, word))
        else:
            true = getattr(first, kind) == getattr(second, kind)
            facts["yes" if true else "no"].append((first, second, kind))
    if not (facts["yes"] and facts["no"]):
        return None
    answer = rng.choice(("yes", "no"))
    first, second, word = rng.choice(facts[answer])
    names = refer(scene, first, kind, rng), refer(scene, second, kind, rng)
    if names[0] is None or names[1] is None:
        return None
    form = {
        "relation": "is the| {0} {2} the {1}?",
        "size": "is the| {0} {2} than the {1}?",
    }.get(kind, "do the| {0} and the {1} have the same {2}?")
    slots = names[0], names[1], word
    return make_question(rng, "comparison", (form,), slots, answer, ("yes", "no"))


Asker = Callable[[Scene, random.Random, Split], Question | None]
ASKERS: dict[str, Asker] = {
    "color": ask_color, "shape": ask_shape, "size": ask_size, "place": ask_place,
    "count": ask_count, "neighbor": ask_neighbor, "existence": ask_existence,
    "comparison": ask_comparison,
}  # fmt: skip
"""In VQA v2 about 38 % of the questions are yes/no: existence and comparison are two of eight
kinds, drawn with the weights below."""
WEIGHTS = {"color": 3, "shape": 3, "size": 1, "place": 2, "count": 2, "neighbor": 2,
           "existence": 3, "comparison": 3}  # fmt: skip


def ask(scene: Scene, rng: random.Random, split: Split, kind: str | None = None) -> Question:
    """Ask one question about a scene, of a kind or of any.

    Yes and no are drawn before a question is looked for, so they come out balanced.
    """
    kinds, weights = list(WEIGHTS), list(WEIGHTS.values())
    for _ in range(200):
        chosen = kind or rng.choices(kinds, weights)[0]
        if (question := ASKERS[chosen](scene, rng, split)) is not None:
            return question
    raise ValueError(f"a scene without any question of kind {kind}: {scene}")


def ask_several(scene: Scene, rng: random.Random, split: Split, count: int) -> list[Question]:
    """Ask different questions about a scene."""
    found: list[Question] = []
    while len(found) < count:
        question = ask(scene, rng, split)
        if question.text not in [item.text for item in found]:
            found.append(question)
    return found
