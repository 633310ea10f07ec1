"""Examples of every task without any picture drawn: an image reference names a description.

The texts are those that the readers make of the world's official files. Beside the official tasks
there are the skills that several images need: questions about one of several images named by its
number, which of several images, movement over frames, and classes with made-up names.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mmicl.mic.queries import Query, expand
from mmicl.records import Example, Split
from mmicl.sources.vcr import write_tokens
from mmicl.world.attributes import SHAPES, add_article
from mmicl.world.description import Crop, Picture
from mmicl.world.episodes import ask_about_objects, sample_sequence
from mmicl.world.hints import sample_hinted_question
from mmicl.world.language import write_captions, write_panel_captions
from mmicl.world.matrices import CONFIGURATIONS, Panel, sample_matrix, sample_panel
from mmicl.world.pairs import sample_pair_set, sample_swap
from mmicl.world.questions import ask
from mmicl.world.scenes import MAX_THINGS, Scene, sample_scene
from mmicl.world.several import sample_label_episode, sample_proxy_set, sample_which_set
from mmicl.world.statements import SUBTASKS, sample_yes_no_pair


@dataclass(frozen=True)
class Asked:
    """A query, its pictures by reference, and worked examples that belong to it alone.

    `solution` is the panel that completes a matrix.
    """

    query: Query
    pictures: dict[str, Picture]
    exemplars: tuple[Query, ...] = ()
    solution: Panel | None = None


class Maker:
    """Names pictures and makes examples of them, for one random stream."""

    def __init__(self, rng: random.Random, split: Split, name: str, most: int = MAX_THINGS) -> None:
        self.rng, self.name, self.most = rng, name, most
        self.split: Split = split
        self.pictures: dict[str, Picture] = {}
        self.examples = 0
        self.solution: Panel | None = None

    def make(
        self, task: str, pictures: Sequence[Picture], target: str, *, question: str = "",
        choices: tuple[str, ...] = (), answer_index: int = -1,
    ) -> list[Query]:  # fmt: skip
        """The queries of an Example with these pictures."""
        references = tuple(f"{self.name}-{len(self.pictures) + k}" for k in range(len(pictures)))
        self.pictures.update(zip(references, pictures, strict=True))
        self.examples += 1
        identity = f"tiny/{self.split}/{self.name}-{self.examples}"
        example = Example(
            id=identity, dataset="tiny", split=self.split, task=task, images=references,
            question=question, choices=choices, answer_index=answer_index, target=target,
            group=identity,
        )  # fmt: skip
        return expand(example)

    def scene(self, least: int = 1) -> Scene:
        """A scene of the split, of at most `most` things."""
        return sample_scene(self.rng, self.split, least=min(least, self.most), most=self.most)

    def finish(self, queries: list[Query], exemplars: Sequence[Query] = ()) -> Asked:
        """One of the queries; of yes/no ones, either answer is as likely."""
        target = self.rng.choice(sorted({query.target for query in queries}))
        query = self.rng.choice([query for query in queries if query.target == target])
        return Asked(query, self.pictures, tuple(exemplars), self.solution)


def make_caption(maker: Maker) -> list[Query]:
    """One caption of a scene."""
    scene = maker.scene(least=2)
    return maker.make("caption", [scene], maker.rng.choice(write_captions(scene, maker.rng)))


def make_panel(maker: Maker) -> list[Query]:
    """One caption of a matrix panel: without it, stage I finds no words for what panels show."""
    panel = sample_panel(maker.rng)
    return maker.make("caption", [panel], maker.rng.choice(write_panel_captions(panel)))


def make_vqa(maker: Maker) -> list[Query]:
    """A question about a scene."""
    scene = maker.scene(least=2)
    question = ask(scene, maker.rng, maker.split)
    return maker.make("vqa", [scene], question.answer, question=question.text)


def make_pope(maker: Maker) -> list[Query]:
    """Whether a shape is there."""
    scene = maker.scene(least=2)
    here = {thing.shape for thing in scene.things}
    answer = maker.rng.choice(("yes", "no"))
    shape = maker.rng.choice([name for name in SHAPES if (name in here) == (answer == "yes")])
    text = f"Is there {add_article(shape)} in the image?"
    return maker.make("pope", [scene], answer, question=text)


def make_region(maker: Maker) -> list[Query]:
    """The shape of one thing, given the frame and its crop."""
    scene = maker.scene()
    thing = maker.rng.choice(scene.things)
    return maker.make("region", [scene, Crop(scene, thing)], thing.shape)


def make_several(maker: Maker) -> list[Query]:
    """A question about one of two to four images, named by its number."""
    drawn = sample_proxy_set(maker.rng, maker.split)
    text, answer = drawn.ask(maker.rng.choice(drawn.places))
    return maker.make("multi", drawn.scenes, answer, question=text)


def make_which(maker: Maker) -> list[Query]:
    """Which of several images shows a thing that the others lack."""
    drawn = sample_which_set(maker.rng, maker.split)
    return maker.make("multi", drawn.scenes, f"<image:{drawn.place}>", question=drawn.text)


def make_mme(maker: Maker) -> list[Query]:
    """A yes/no question as MME puts them."""
    pair = sample_yes_no_pair(maker.rng, maker.split, maker.rng.choice(SUBTASKS))
    answer = maker.rng.choice(("yes", "no"))
    return maker.make("mme", [pair.scene], answer, question=getattr(pair, answer))


def make_scienceqa(maker: Maker) -> list[Query]:
    """Multiple choice behind a hint that may mislead."""
    asked = sample_hinted_question(maker.rng, maker.split)
    return maker.make(
        "scienceqa", [asked.scene], asked.choices[asked.answer], choices=asked.choices,
        question=f"{asked.hint} {asked.question}".strip(), answer_index=asked.answer,
    )  # fmt: skip


def make_nlvr(maker: Maker) -> list[Query]:
    """Whether a sentence is true of a pair."""
    pair_set = sample_pair_set(maker.rng, maker.split, sentences=1)
    pair = maker.rng.choice(pair_set.pairs)
    statement = pair_set.statements[0]
    answer = str(statement.holds(*pair)).lower()
    return maker.make("nlvr", pair, answer, question=statement.text)


def make_vcr(maker: Maker) -> list[Query]:
    """A question about numbered objects: the frame, and a crop of each object it speaks of."""
    scene = maker.scene(least=3)
    asked = ask_about_objects(scene, maker.rng)
    tokens = [asked.question, *asked.answers]
    mentioned = sorted(
        {n for text in tokens for part in text if isinstance(part, list) for n in part}
    )
    places = {number: place for place, number in enumerate(mentioned, start=1)}
    question, *choices = (write_tokens(text, places) for text in tokens)
    pictures = [scene, *(Crop(scene, scene.things[number]) for number in mentioned)]
    return maker.make(
        "vcr", pictures, choices[asked.answer], question=question, choices=tuple(choices),
        answer_index=asked.answer,
    )  # fmt: skip


def make_winoground(maker: Maker) -> list[Query]:
    """Whether one of two captions fits one of two images."""
    swap = sample_swap(maker.rng, maker.split)
    return maker.make("winoground", swap.scenes, "", choices=swap.captions)


def make_raven(maker: Maker) -> list[Query]:
    """Whether a panel completes a matrix."""
    configuration = maker.rng.choice(tuple(CONFIGURATIONS))
    matrix = sample_matrix(maker.rng, maker.split, configuration)
    pictures = [*matrix.context, *matrix.candidates]
    target = f"<image:{8 + matrix.answer}>"
    maker.solution = matrix.candidates[matrix.answer]
    return maker.make("raven", pictures, target, answer_index=matrix.answer)


def make_sequence(maker: Maker) -> list[Query]:
    """What a thing does over four frames."""
    sequence = sample_sequence(maker.rng, maker.split)
    return maker.make("video", sequence.frames, sequence.answer, question=sequence.question)


def make_labels(maker: Maker) -> list[Query]:
    """Made-up names for two shapes or colours, known from worked examples alone."""
    episode = sample_label_episode(maker.rng, maker.split, maker.rng.choice((1, 2)))
    pictures = [*(scene for scene, _ in episode.support), episode.query]
    names = tuple(name for _, name in episode.support)
    return maker.make("episode", pictures, episode.answer, choices=names, question="What is this?")


MAKERS: dict[str, Callable[[Maker], list[Query]]] = {
    "caption": make_caption,
    "panel": make_panel,
    "vqa": make_vqa,
    "pope": make_pope,
    "region": make_region,
    "several": make_several,
    "which": make_which,
    "nlvr": make_nlvr,
    "vcr": make_vcr,
    "winoground": make_winoground,
    "raven": make_raven,
    "sequence": make_sequence,
    "mme": make_mme,
    "scienceqa": make_scienceqa,
    "labels": make_labels,
}
SKILLS = tuple(MAKERS)


def make_asked(
    skill: str,
    rng: random.Random,
    split: Split,
    name: str,
    exemplars: int,
    most: int = MAX_THINGS,
) -> Asked:
    """A query of a skill, with worked examples of the same skill before it.

    `most` limits the things of a scene, for the skills that ask about one image at a time.
    """
    maker = Maker(rng, split, name, most)
    before = [rng.choice(MAKERS[skill](maker)) for _ in range(exemplars)]
    return maker.finish(MAKERS[skill](maker), before)
