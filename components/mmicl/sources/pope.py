"""POPE: is there such an object in the picture? Yes or no, in three settings of the negatives.

Official `<pictures>_pope[_seem]_<setting>.json`, JSON Lines or one array. The pictures are COCO's
(`COCO_val2014_000000310196.jpg`), which later releases name by their number alone.
"""

import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Literal

from mmicl.records import Example
from mmicl.sources.coco import group_name
from mmicl.sources.official import Official, Record, Text, dump_meta
from mmicl.sources.reader import Page, Reader
from mmicl.sources.reading import ReadContext

SETTINGS = ("random", "popular", "adversarial")
FOLDERS = ("val2014/", "images/", "", "val2017/", "train2017/")


class Question(Official):
    """A line."""

    question_id: int
    image: str
    text: Text
    label: Literal["yes", "no"]


def find_questions(context: ReadContext) -> Iterator[Record]:
    """Every question of every setting; a record's id begins with its file's name."""
    for path in context.files("**/*pope_*.json"):
        stem = PurePosixPath(context.official_name(path)).stem
        if stem.rpartition("_")[2] in SETTINGS:
            for record in context.read_records(path, "test", "question_id"):
                yield Record("test", f"{stem}-{record.id}", record.file, record.value)


def convert_question(record: Record, context: ReadContext) -> Iterator[Example]:
    """One question with its picture."""
    question = Question.model_validate(record.value)
    name = question.image
    coco = re.fullmatch(r"COCO_(?:train|val)20\d\d_0*(\d+)\.(jpg|png)", name)
    names = [name, f"{int(coco[1]):012d}.{coco[2]}"] if coco else [name]
    image = context.image(*(f"{folder}{name}" for name in names for folder in FOLDERS))
    group = group_name(int(coco[1])) if coco else f"pope-{PurePosixPath(name).stem}"
    split = context.split(record.split, group)
    file = context.official_name(context.folder / record.file)
    pictures, _, setting = PurePosixPath(file).stem.rpartition("_")
    meta = {
        "question_id": question.question_id, "setting": setting, "pictures": pictures,
        "image": name,
    }  # fmt: skip
    yield Example(
        id=f"{context.dataset}/{split}/{record.id}", dataset=context.dataset, split=split,
        task="pope", images=(image,), question=question.text, answers=(question.label,),
        target=question.label, group=group, meta=dump_meta(meta),
    )  # fmt: skip


POPE = Reader(
    name="pope",
    task="pope",
    files=("coco_pope_{random,popular,adversarial}.json", "val2014/*.jpg (or images/)"),
    licence="MIT; photos under their Flickr terms",
    find=find_questions,
    convert=convert_question,
    page=Page(
        title="POPE",
        category="benchmark (hallucination)",
        use="test",
        url="https://github.com/AoiDragon/POPE",
        records="3,000 questions for each of random, popular, adversarial; 500 pictures",
        makes="is there such an object in the picture? yes or no",
    ),
    roles={
        **{setting: f"coco_pope_{setting}.json" for setting in SETTINGS},
        "images": "val2014/",
    },
)
