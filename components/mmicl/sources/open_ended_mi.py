"""Open-Ended miniImageNet (Tsimpoukelli 2021): pictures with made-up names, and one to be named.

`open_ended_mi_shots_<s>_ways_<w>_all_questions.json` with its pictures beside it. The original has
no training split and lies in one folder, read as test; folders `train/`, `val/`, `test/` are split
so. A question's id is unique in its file alone.
"""

import re
from collections.abc import Iterator
from itertools import count, takewhile
from pathlib import PurePosixPath
from typing import Any

from mmicl.records import Example, Split
from mmicl.sources.official import Official, Record, RecordError, Text, dump_meta
from mmicl.sources.reader import Page, Reader
from mmicl.sources.reading import ReadContext

FOLDERS: dict[str, Split] = {
    "train": "train", "val": "val", "test": "test", "": "test", "open_ended_mi": "test",
}  # fmt: skip
_FILE = re.compile(r"open_ended_mi_shots_\d+_ways_\d+_all_questions\.json")
_DIGITS = re.compile(r"\d+")
_CAPTION = re.compile(r"(?:this is an?\s+)?(.+?)\.?", re.IGNORECASE)


class Shown(Official):
    """A picture with its name, in a sentence."""

    image: str
    caption: Text


class Question(Official):
    """An entry of the file, but for its numbered pictures."""

    question_id: int
    question_image: str
    question: Text
    answer: Text


def find_episodes(context: ReadContext) -> Iterator[Record]:
    """Every question of every number of shots and ways."""
    for folder, split in FOLDERS.items():
        for path in context.files(f"{folder}/open_ended_mi_*_all_questions.json".lstrip("/")):
            if _FILE.fullmatch(path.name):
                yield from context.read_records(path, split, "question_id")


def convert_episode(record: Record, context: ReadContext) -> Iterator[Example]:
    """One episode: the named pictures in order, then the one to be named."""
    question = Question.model_validate(record.value)
    path = PurePosixPath(record.file)
    shots, ways = map(int, _DIGITS.findall(path.name))
    shown = read_shown(record.value)
    if len(shown) != shots * ways:
        detail = f"{len(shown)} named pictures, not {shots} for each of {ways} names"
        raise RecordError("malformed", detail)
    names = tuple(read_name(one.caption) for one in shown)
    answer = read_name(question.answer)
    if answer not in names:
        raise RecordError("unknown_name", f"{answer!r} is none of {', '.join(sorted(set(names)))}")
    images = tuple(
        context.image(str(path.parent / name))
        for name in (*(one.image for one in shown), question.question_image)
    )
    group = f"{record.split}-shots_{shots}_ways_{ways}-{question.question_id}"
    split = context.split(record.split, group)
    meta = {"question_id": question.question_id, "shots": shots, "ways": ways}
    yield Example(
        id=f"{context.dataset}/{split}/{group}", dataset=context.dataset, split=split,
        task="episode", images=images, question=question.question, choices=names,
        answers=(answer,), target=answer, group=group, meta=dump_meta(meta),
    )  # fmt: skip


def read_shown(value: dict[str, Any]) -> list[Shown]:
    """The pictures `image_1`, `image_2`, … with their captions, as long as there is a next."""
    numbers = takewhile(lambda number: f"image_{number}" in value, count(1))
    return [
        Shown.model_validate({"image": value[f"image_{n}"], "caption": value.get(f"caption_{n}")})
        for n in numbers
    ]


def read_name(text: str) -> str:
    """The name in `This is a NAME.`, or alone.

    Raises:
        RecordError: There is none.
    """
    match = _CAPTION.fullmatch(text)
    if match is None:
        raise RecordError("malformed", f"no name in {text!r}")
    return match[1]


OPEN_ENDED_MI = Reader(
    name="open_ended_mi",
    task="episode",
    files=("open_ended_mi_shots_<s>_ways_<w>_all_questions.json", "its *.jpg beside it"),
    licence="questions as released by DeepMind for research; pictures from ImageNet, research only",
    find=find_episodes,
    convert=convert_episode,
    page=Page(
        title="Open-Ended miniImageNet",
        category="few-shot classification (ours)",
        use="train, test",
        url="https://fh295.github.io/frozen.html",
        records="2,500 questions for each number of shots and ways",
        makes="pictures with made-up names, then one to be named",
    ),
)
