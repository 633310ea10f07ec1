"""NLVR v1: a sentence about one drawn picture of three boxes, true or false.

Official `<split>.json` is JSON Lines. Each picture comes in six orders of its boxes
(`<split>-<identifier>-<order>.png`); the label holds for all of them, order 0 is taken.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Literal

from mmicl.records import Example, Split
from mmicl.sources.official import Official, Record, RecordError, Text, dump_meta
from mmicl.sources.reader import Page, Reader
from mmicl.sources.reading import ReadContext

FILES: dict[str, Split] = {"train": "train", "dev": "val", "test": "test"}
ORDERS = 6
PICTURES = "images/"


class Sentence(Official):
    """A line; `identifier` is sentence-picture."""

    identifier: str
    directory: str
    sentence: Text
    label: Literal["true", "false"]


def find_sentences(context: ReadContext) -> Iterator[Record]:
    """Every sentence; a record's value is (line, split's official name, folder of pictures)."""
    for name, split in FILES.items():
        path = context.find(f"{name}.json", f"{name}/{name}.json", f"nlvr/{name}/{name}.json")
        if path is None:
            continue
        pictures = context.named.get(PICTURES, context.name(path.with_name("images")))
        for record in context.read_records(path, split, "identifier"):
            if isinstance(record.value, RecordError):
                yield record
            else:
                yield replace(record, value=(record.value, name, pictures))


def convert_sentence(record: Record, context: ReadContext) -> Iterator[Example]:
    """One sentence with its picture."""
    value, name, pictures = record.value
    line = Sentence.model_validate(value)
    places = [
        f"{pictures}/{line.directory}/{name}-{line.identifier}-{order}.png"
        for order in range(ORDERS)
    ]
    image = context.image(places[0])
    others = sum(context.safe_path(other).is_file() for other in places[1:])
    if others:
        context.unused["other orders of a picture's boxes"] += others
    group = f"nlvr1-{line.identifier.partition('-')[0]}"
    split = context.split(record.split, group)
    yield Example(
        id=f"{context.dataset}/{split}/{line.identifier}", dataset=context.dataset, split=split,
        task="nlvr", images=(image,), question=line.sentence, answers=(line.label,),
        target=line.label, group=group, meta=dump_meta({"identifier": line.identifier}),
    )  # fmt: skip


NLVR1 = Reader(
    name="nlvr1",
    task="nlvr",
    files=("{train,dev,test}.json", "images/<directory>/<split>-<identifier>-0.png"),
    licence="CC BY 4.0",
    find=find_sentences,
    convert=convert_sentence,
    page=Page(
        title="NLVR",
        category="visual reasoning (ours)",
        use="test",
        url="https://github.com/lil-lab/nlvr",
        records="train 12,409, dev 988, test 989",
        makes="a sentence about a drawn picture; true or false",
    ),
    roles={"train": "train.json", "dev": "dev.json", "test": "test.json", "images": "images/"},
)
