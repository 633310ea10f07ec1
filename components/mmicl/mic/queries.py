"""From an Example to the questions that are put to a model: one place for training and benchmarks.

Most Examples are one question. A Winoground item is four (HaozheZhao/MIC, issue 19:
one prompt shows both images and both captions and asks of one pair at a time), a RAVEN puzzle is
one yes/no question per candidate panel.
"""

import json
from dataclasses import dataclass, replace

from mmicl.errors import DataError
from mmicl.mic.chance import draw
from mmicl.records import Example, RequestKind, Split

YES_NO = ("yes", "no")
TRUE_FALSE = ("true", "false")
RAVEN_CONTEXT = 8
"""Panels of a 3x3 matrix that are given; the images after them are the candidates."""


@dataclass(frozen=True)
class Query:
    """One question with its images, still without numbers of a prompt.

    Texts refer to the k-th of `images` as `<image:k>`; `mmicl.mic.scheme.render` numbers them.

    Attributes:
        id: `source`, or `source#key` where the Example is several queries; unique.
        source: The Example's id.
        key: "" or which part of the Example this asks: `c0i1` (does Winoground's official caption
            0 match its official image 1?), `p3` (is RAVEN's candidate panel 3, from 0, right?).
        names: Plain words for each image ("" where there are none), used where an image is left
            out. They come from the Example's meta, key `image_names`.
        choices: Alternatives that the prompt lists.
        candidates: Answers to be scored for the kinds `candidates` and `yes_probability`; for the
            latter they are ("yes", "no").
        target: The right answer; one of `candidates` where there are any.
        before: Worked examples that belong to the question itself, without which it has no answer
            (the named pictures of an episode of made-up labels).
    """

    id: str
    source: str
    key: str
    dataset: str
    split: Split
    task: str
    group: str
    images: tuple[str, ...]
    names: tuple[str, ...]
    question: str
    choices: tuple[str, ...]
    candidates: tuple[str, ...]
    kind: RequestKind
    target: str
    before: tuple["Query", ...] = ()


def expand(example: Example) -> list[Query]:
    """All questions of an Example, in official order.

    - caption, vqa, multi, video, video_caption: one query, kind generate; region likewise, asked of
      its last image; episode likewise, its other images (named by `choices`) as worked examples;
      dialog likewise, what was said before standing in the question.
    - pope, mme, classify: one, kind yes_probability; nlvr: one, kind candidates (true, false).
    - vcr, scienceqa, choice, video_choice: one, kind candidates: the full texts of the options,
      which the prompt lists too.
    - winoground: four, kind yes_probability, keys c0i0, c0i1, c1i0, c1i1. The order in which the
      prompt shows captions and images is shuffled by the Example's id; the keys keep the
      official order.
    - raven: one per candidate panel, kind yes_probability, keys p0, p1, …; images are the eight
      given panels and that candidate.

    Raises:
        DataError: The Example does not have the images, choices or target of its task, or the
            task is unknown.
    """
    try:
        build = _EXPANDERS[example.task]
    except KeyError:
        raise DataError(
            f"unknown task {example.task!r}",
            where=example.id,
            remedy=f"tasks are {', '.join(sorted(_EXPANDERS))}",
        ) from None
    return build(example)


def _ask(example: Example, kind: RequestKind, candidates: tuple[str, ...] = ()) -> Query:
    """The Example as one query."""
    names = json.loads(example.meta).get("image_names") or [""] * len(example.images)
    if len(names) != len(example.images):
        raise DataError(
            f"{len(names)} image names for {len(example.images)} images", where=example.id
        )
    if candidates and example.target not in candidates:
        raise DataError(
            f"target {example.target!r} is none of {', '.join(candidates)}", where=example.id
        )
    return Query(
        id=example.id, source=example.id, key="", dataset=example.dataset, split=example.split,
        task=example.task, group=example.group, images=example.images, names=tuple(names),
        question=example.question, choices=example.choices, candidates=candidates, kind=kind,
        target=example.target,
    )  # fmt: skip


def _generate(example: Example) -> list[Query]:
    return [_ask(example, "generate")]


def _ask_region(example: Example) -> list[Query]:
    """The frame and a crop, and what the crop shows; its plain word would be the answer."""
    query = _ask(example, "generate")
    last = len(query.images) - 1
    return [replace(query, question=f"What is <image:{last}>?", names=("the object",) * (last + 1))]


def _ask_yes_no(example: Example) -> list[Query]:
    return [_ask(example, "yes_probability", YES_NO)]


def _ask_true_false(example: Example) -> list[Query]:
    return [_ask(example, "candidates", TRUE_FALSE)]


def _ask_options(example: Example) -> list[Query]:
    """Multiple choice: the answer is the full text of the right option."""
    if not 0 <= example.answer_index < len(example.choices):
        raise DataError(
            f"answer {example.answer_index} of {len(example.choices)} options", where=example.id
        )
    query = _ask(example, "candidates")
    right = example.choices[example.answer_index]
    return [replace(query, candidates=example.choices, target=right)]


def _ask_dialog(example: Example) -> list[Query]:
    """The next answer; candidates for it (VisDial's hundred) are ranked, never listed."""
    return [replace(_ask(example, "generate"), choices=())]


def _ask_episode(example: Example) -> list[Query]:
    """Each image but the last with its name, then the last one."""
    if len(example.images) != len(example.choices) + 1:
        raise DataError(
            f"{len(example.images)} images and {len(example.choices)} names, not one image more",
            where=example.id,
        )
    whole = replace(_ask(example, "generate"), choices=())
    shown = [
        replace(whole, id=f"{example.id}#{place}", images=whole.images[place : place + 1],
                names=whole.names[place : place + 1])
        for place in range(len(whole.images))
    ]  # fmt: skip
    before = tuple(
        replace(one, target=name) for one, name in zip(shown, example.choices, strict=False)
    )
    return [replace(shown[-1], id=example.id, before=before)]


def _ask_pairs(example: Example) -> list[Query]:
    """Winoground: both images, both captions, and one of the four pairs."""
    if len(example.images) != 2 or len(example.choices) != 2:
        raise DataError(
            f"{len(example.images)} images and {len(example.choices)} captions, not 2 and 2",
            where=example.id,
        )
    whole = _ask(example, "yes_probability")
    images_swapped = draw(2, "winoground images", example.id)
    captions_swapped = draw(2, "winoground captions", example.id)
    shown = replace(
        whole,
        images=whole.images[::-1] if images_swapped else whole.images,
        names=whole.names[::-1] if images_swapped else whole.names,
        choices=whole.choices[::-1] if captions_swapped else whole.choices,
        candidates=YES_NO,
    )
    return [
        replace(
            shown,
            id=f"{example.id}#c{caption}i{image}",
            key=f"c{caption}i{image}",
            question=(
                f"Is caption {caption ^ captions_swapped} a match for "
                f"<image:{image ^ images_swapped}>?"
            ),
            target=YES_NO[caption != image],
        )
        for caption in range(2)
        for image in range(2)
    ]


def _ask_panels(example: Example) -> list[Query]:
    """RAVEN: the given panels and one candidate, asked of each candidate."""
    panels = len(example.images) - RAVEN_CONTEXT
    if panels < 2 or not 0 <= example.answer_index < panels:
        raise DataError(
            f"{len(example.images)} images and answer {example.answer_index}, not {RAVEN_CONTEXT} "
            "panels, the candidates and the number of the right one",
            where=example.id,
        )
    whole = _ask(example, "yes_probability")
    return [
        replace(
            whole,
            id=f"{example.id}#p{panel}",
            key=f"p{panel}",
            images=(*whole.images[:RAVEN_CONTEXT], whole.images[RAVEN_CONTEXT + panel]),
            names=(*whole.names[:RAVEN_CONTEXT], whole.names[RAVEN_CONTEXT + panel]),
            question=f"Is <image:{RAVEN_CONTEXT}> the right next image?",
            choices=(),
            candidates=YES_NO,
            target=YES_NO[panel != example.answer_index],
        )
        for panel in range(panels)
    ]


_EXPANDERS = {
    "caption": _generate,
    "vqa": _generate,
    "region": _ask_region,
    "vcr": _ask_options,
    "nlvr": _ask_true_false,
    "pope": _ask_yes_no,
    "winoground": _ask_pairs,
    "raven": _ask_panels,
    "mme": _ask_yes_no,
    "multi": _generate,
    "video": _generate,
    "scienceqa": _ask_options,
    "episode": _ask_episode,
    "choice": _ask_options,
    "video_choice": _ask_options,
    "video_caption": _generate,
    "dialog": _ask_dialog,
    "classify": _ask_yes_no,
}
