"""miniImageNet as a dataset of pictures: name the object.

The csv files (Ravi & Larochelle's split of classes) give each picture its WordNet id; ImageNet's
own list of ids and words gives the names, all of a class being answers, the first one the target.
"""

import re
from collections.abc import Iterator

from mmicl.errors import DataError
from mmicl.files import hash_file
from mmicl.records import Example
from mmicl.sources.official import Official, Record, RecordError
from mmicl.sources.reader import Page, Reader
from mmicl.sources.reading import SPLITS, ReadContext
from mmicl.sources.tables import read_table
from mmicl.sources.texts import check_plain

NAMES = ("LOC_synset_mapping.txt", "words.txt")
QUESTION = "What object is in the image?"
_CLASS = re.compile(r"(n\d{8})\s+(\S.*)")


class Row(Official):
    """A row of a csv file."""

    filename: str
    label: str


def find_pictures(context: ReadContext) -> Iterator[Record]:
    """Every picture; a record's value is (row, split's name, words by WordNet id).

    Raises:
        DataError: The list of names is missing or not UTF-8.
    """
    names: dict[str, str] | None = None
    for split in SPLITS:
        path = context.find(f"{split}.csv")
        if path is None:
            continue
        names = read_names(context) if names is None else names
        for record in read_table(context, path, split, "filename", ("filename", "label")):
            if isinstance(record.value, RecordError):
                yield record
            else:
                yield Record(split, record.id, record.file, (record.value, split, names))


def read_names(context: ReadContext) -> dict[str, str]:
    """ImageNet's words by WordNet id, `n01443537` -> `goldfish, Carassius auratus`.

    Raises:
        DataError: There is no such list, or it is not UTF-8.
    """
    path = context.find(*NAMES)
    if path is None:
        message = "no list of class names"
        remedy = f"put ImageNet's {NAMES[0]} beside the csv files"
        raise DataError(message, where=f"dataset {context.dataset}", remedy=remedy)
    context.sources[context.name(path)] = hash_file(path)
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        where = f"{context.dataset}: {context.name(path)}"
        raise DataError(f"not UTF-8 ({error})", where=where) from None
    return {match[1]: match[2] for line in lines if (match := _CLASS.fullmatch(line.strip()))}


def convert_picture(record: Record, context: ReadContext) -> Iterator[Example]:
    """One picture with the names of its class."""
    value, name, names = record.value
    row = Row.model_validate(value)
    if row.label not in names:
        raise RecordError("unknown_class", f"the list of names has no {row.label!r}")
    answers = tuple(check_plain(word) for word in names[row.label].split(","))
    image = context.image(f"images/{row.filename}", f"{name}/{row.label}/{row.filename}")
    yield context.example(
        record.split, row.filename, task="vqa", images=(image,), question=QUESTION,
        answers=answers, target=answers[0], group=f"imagenet-{image[:16]}",
        meta={"label": row.label},
    )  # fmt: skip


MINI_IMAGENET = Reader(
    name="mini_imagenet",
    task="vqa",
    files=("{train,val,test}.csv", "images/*.jpg (or <split>/<class>/)", f"{NAMES[0]}"),
    licence="csv MIT; pictures from ImageNet, research only",
    find=find_pictures,
    convert=convert_picture,
    page=Page(
        title="miniImageNet",
        category="few-shot classification",
        use="train",
        url="https://github.com/yaoyao-liu/mini-imagenet-tools",
        records="train 38,400 (64 classes), val 9,600 (16), test 12,000 (20)",
        makes="a picture and the question what is in it; the names of its class are the answers",
    ),
    roles={
        "train": "train.csv",
        "val": "val.csv",
        "test": "test.csv",
        "names": NAMES[0],
        "images": "images/",
    },
)
