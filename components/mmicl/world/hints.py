"""Multiple choice with a hint that may mislead: who reads without looking follows the hint.

ScienceQA's language bias in miniature. A third of the questions have no hint, a third a true one,
a third one that names a wrong choice.
"""

import random
from dataclasses import dataclass
from typing import Literal

from mmicl.records import Split
from mmicl.world.attributes import COLORS, SHAPES
from mmicl.world.scenes import Scene, sample_scene

HintKind = Literal["none", "true", "misleading"]
CHOICES = 3


@dataclass(frozen=True)
class HintedQuestion:
    """A scene, a question with choices (one right), and the hint before it ("" for none)."""

    scene: Scene
    question: str
    choices: tuple[str, ...]
    answer: int
    hint: str
    kind: HintKind


def sample_hinted_question(rng: random.Random, split: Split) -> HintedQuestion:
    """Draw a scene with a thing alone of its shape or colour, and ask for its other attribute."""
    while True:
        scene = sample_scene(rng, split)
        thing = rng.choice(scene.things)
        if rng.random() < 0.5:
            alone = len(scene.select(shape=thing.shape)) == 1
            name, right, values = thing.shape, thing.color, tuple(COLORS)
            question, hint = f"What color is the {name}?", f"A {name} is often {{}}."
        else:
            alone = len(scene.select(color=thing.color)) == 1
            name, right, values = thing.color, thing.shape, SHAPES
            question, hint = f"Which shape is {name}?", f"The {name} shape is often the {{}}."
        if not alone:
            continue
        wrong = rng.sample([value for value in values if value != right], CHOICES - 1)
        choices = [right, *wrong]
        rng.shuffle(choices)
        kind: HintKind = rng.choice(("none", "true", "misleading"))
        told = {"none": "", "true": hint.format(right), "misleading": hint.format(wrong[0])}[kind]
        return HintedQuestion(scene, question, tuple(choices), choices.index(right), told, kind)
