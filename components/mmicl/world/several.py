"""Several pictures and a question about one of them, or which of them it is.

A question about one picture is drawn so that it can be put to another of the same set and has
another answer there: only who finds the picture that is meant can answer both.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass

from mmicl.records import Split
from mmicl.world.attributes import COLORS, SHAPES, add_article, list_combinations, pluralize
from mmicl.world.language import capitalize
from mmicl.world.scenes import Scene, sample_scene

SET_SIZES = (2, 2, 3, 4)
"""How many pictures, drawn evenly from this list."""
TRIES = 40
"""Sets drawn for a kind of question before it is given up."""
KINDS = ("color", "shape", "place", "count", "existence")


@dataclass(frozen=True)
class Probe:
    """A question that can be put to any scene; `{}` in `text` stands for the picture's name.

    `answer` gives None where the scene does not have exactly one thing that is meant.
    """

    kind: str
    text: str
    answer: Callable[[Scene], str | None]


@dataclass(frozen=True)
class ProxySet:
    """Pictures, one question, and two pictures for which its answers differ."""

    scenes: tuple[Scene, ...]
    probe: Probe
    places: tuple[int, int]

    def ask(self, place: int) -> tuple[str, str]:
        """The question about one picture of the set, and its answer.

        Raises:
            ValueError: That picture does not answer it; those of `places` do.
        """
        answer = self.probe.answer(self.scenes[place])
        if answer is None:
            raise ValueError(f"picture {place} has no answer; ask of one of {self.places}")
        return self.probe.text.format(f"<image:{place}>"), answer

    def ask_alone(self, place: int) -> str:
        """The same question where that picture is the only one."""
        return self.probe.text.format("<image:0>")


@dataclass(frozen=True)
class WhichSet:
    """Pictures, and a question that is true of one of them."""

    scenes: tuple[Scene, ...]
    text: str
    place: int


def sample_proxy_set(rng: random.Random, split: Split) -> ProxySet:
    """Draw two to four pictures and a question that two of them answer differently.

    A kind is tried for a while before another is drawn, or those that fit any picture (counts,
    existence) would be nearly all. Validation has one colour a shape, so no colour questions.
    """
    while True:
        kind = rng.choice(KINDS)
        for _ in range(TRIES):
            scenes = tuple(sample_scene(rng, split) for _ in range(rng.choice(SET_SIZES)))
            probe = draw_probe(rng, split, kind, rng.choice(scenes))
            answers = [probe.answer(scene) for scene in scenes]
            pairs = [
                (one, other)
                for one in range(len(scenes))
                for other in range(len(scenes))
                if None not in (answers[one], answers[other]) and answers[one] != answers[other]
            ]
            if pairs:
                return ProxySet(scenes, probe, rng.choice(pairs))


def sample_which_set(rng: random.Random, split: Split) -> WhichSet:
    """Draw two to four pictures of which one shows what the others lack."""
    while True:
        scenes = tuple(sample_scene(rng, split, least=1) for _ in range(rng.choice(SET_SIZES)))
        if (drawn := ask_which(rng, scenes)) is not None:
            return drawn


def ask_which(rng: random.Random, scenes: tuple[Scene, ...]) -> WhichSet | None:
    """Draw something that one of the pictures shows; None where another shows it too."""
    place = rng.randrange(len(scenes))
    thing = rng.choice(scenes[place].things)
    noun, wanted = rng.choice(
        [
            (thing.shape, {"shape": thing.shape}),
            (f"{thing.color} shape", {"color": thing.color}),
            (f"{thing.color} {thing.shape}", {"shape": thing.shape, "color": thing.color}),
        ]
    )
    if sum(bool(scene.select(**wanted)) for scene in scenes) > 1:
        return None
    forms = ("Which image shows {}?", "Which of the images has {}?", "In which image is {}?")
    return WhichSet(scenes, rng.choice(forms).format(add_article(noun)), place)


def draw_probe(rng: random.Random, split: Split, kind: str, scene: Scene) -> Probe:
    """Draw a question of a kind about what one scene shows."""
    thing = rng.choice(scene.things)
    if kind in ("color", "place"):
        shape = thing.shape
        forms = {
            "color": ("What color is the {} in {{}}?", "In {{}}: what is the color of the {}?"),
            "place": ("Where is the {} in {{}}?", "In {{}}: what is the position of the {}?"),
        }[kind]
        return Probe(kind, rng.choice(forms).format(shape), _read_one(kind, shape=shape))
    if kind == "shape":
        forms = ("What shape is the {} object in {{}}?", "In {{}}: which shape is the {} object?")
        return Probe(
            kind, rng.choice(forms).format(thing.color), _read_one(kind, color=thing.color)
        )
    if kind == "count":
        noun, wanted = rng.choice(
            [
                ("shapes", {}),
                (pluralize(thing.shape), {"shape": thing.shape}),
                (f"{thing.color} shapes", {"color": thing.color}),
            ]
        )
        forms = ("How many {} are in {{}}?", "In {{}}: how many {} are there?")
        return Probe(
            kind,
            rng.choice(forms).format(noun),
            lambda scene: str(len(scene.select(**wanted))),
        )
    one, other = rng.choice(list_combinations(split))
    noun, wanted = rng.choice(
        [
            (thing.shape, {"shape": thing.shape}),
            (f"{thing.color} shape", {"color": thing.color}),
            (f"{thing.color} {thing.shape}", {"shape": thing.shape, "color": thing.color}),
            (f"{other} {one}", {"shape": one, "color": other}),
        ]
    )
    forms = ("Is there {} in {{}}?", "In {{}}: is there {}?")
    return Probe(
        kind,
        capitalize(rng.choice(forms).format(add_article(noun))),
        lambda scene: "yes" if scene.select(**wanted) else "no",
    )


def _read_one(kind: str, **wanted: str) -> Callable[[Scene], str | None]:
    """Read an attribute of the one thing that is meant."""

    def read(scene: Scene) -> str | None:
        found = scene.select(**wanted)
        return getattr(found[0], kind) if len(found) == 1 else None

    return read


LABELS = (
    "dax", "wug", "blick", "toma", "fep", "zop", "lorp", "gazzer", "kiki", "mib", "pim", "vonk",
)  # fmt: skip
"""Names that mean nothing."""


@dataclass(frozen=True)
class LabelEpisode:
    """Two made-up classes: pictures with their names, and one to be named."""

    support: tuple[tuple[Scene, str], ...]
    query: Scene
    answer: str


def sample_label_episode(rng: random.Random, split: Split, shots: int) -> LabelEpisode:
    """Draw two classes (two shapes, or two colours), `shots` pictures of each, and a query.

    Every picture shows one thing. What does not make the class differs between the query and the
    other class's pictures, so that one name alone is right.
    """
    attribute, rest = rng.choice((("shape", "color"), ("color", "shape")))
    values = rng.sample(SHAPES if attribute == "shape" else tuple(COLORS), 2)
    names = rng.sample(LABELS, 2)
    palettes = [
        tuple(item for item in list_combinations(split) if getattr(item, attribute) == value)
        for value in values
    ]

    def show(which: int) -> Scene:
        return sample_scene(rng, split, least=1, most=1, palette=palettes[which], inside=0)

    while True:
        order = [which for which in range(2) for _ in range(shots)]
        rng.shuffle(order)
        support = [(show(which), which) for which in order]
        answer = rng.randrange(2)
        query = show(answer)
        others = {getattr(scene.things[0], rest) for scene, which in support if which != answer}
        if getattr(query.things[0], rest) not in others:
            named = tuple((scene, names[which]) for scene, which in support)
            return LabelEpisode(named, query, names[answer])
