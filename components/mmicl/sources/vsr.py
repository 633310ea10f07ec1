"""VSR: a sentence about how two objects of a COCO photo lie to each other, true or false.

Official `{train,dev,test}.jsonl` of the random or the zero-shot split; a line has no id, so that
its number in the file serves.
"""

from collections.abc import Iterator
from pathlib import PurePosixPath

from mmicl.records import Example, Split
from mmicl.sources.coco import group_name, photo_places
from mmicl.sources.official import Official, Record, RecordError, Text
from mmicl.sources.reader import Page, Reader
from mmicl.sources.reading import ReadContext

FILES: dict[str, Split] = {"train": "train", "dev": "val", "test": "test"}


class Sentence(Official):
    """A line."""

    image: str
    caption: Text
    label: int
    relation: str = ""


def find_sentences(context: ReadContext) -> Iterator[Record]:
    """Every sentence, by its number in its file."""
    for name, split in FILES.items():
        if path := context.find(f"{name}.jsonl", f"splits/{name}.jsonl", f"data/{name}.jsonl"):
            for number, record in enumerate(context.read_records(path, split, ""), start=1):
                yield Record(split, str(number), record.file, record.value)


def convert_sentence(record: Record, context: ReadContext) -> Iterator[Example]:
    """One sentence with its photo."""
    line = Sentence.model_validate(record.value)
    number = PurePosixPath(line.image).stem
    if line.label not in (0, 1) or not number.isdecimal():
        raise RecordError("malformed", f"label {line.label}, image {line.image!r}")
    folders = ("train2017", "val2017")
    image = context.image(
        *(place for folder in folders for place in photo_places(folder, int(number)))
    )
    target = "true" if line.label else "false"
    yield context.example(
        record.split, record.id, task="nlvr", images=(image,), question=line.caption,
        answers=(target,), target=target, group=group_name(int(number)),
        meta={"image": line.image, "relation": line.relation},
    )  # fmt: skip


VSR = Reader(
    name="vsr",
    task="nlvr",
    files=("{train,dev,test}.jsonl", "{train,val}2017/*.jpg (or images/)"),
    licence="Apache-2.0; photos under their Flickr terms",
    find=find_sentences,
    convert=convert_sentence,
    page=Page(
        title="VSR",
        category="visual reasoning",
        use="test",
        url="https://github.com/cambridgeltl/visual-spatial-reasoning",
        records="random split: train 7,680, dev 1,097, test 2,195",
        makes="a sentence about where two objects are; true or false",
    ),
    roles={"train": "train.jsonl", "dev": "dev.jsonl", "test": "test.jsonl"},
)
