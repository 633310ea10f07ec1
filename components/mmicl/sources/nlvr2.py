"""NLVR2: a sentence about two pictures, true or false. Official .json files are JSON Lines."""

from collections.abc import Iterator
from typing import Literal

from mmicl.records import Example, Split
from mmicl.sources.official import Official, Record, RecordError, Text, dump_meta
from mmicl.sources.reader import Page, Reader
from mmicl.sources.reading import ReadContext

FILES: dict[str, Split] = {"train": "train", "dev": "val", "test1": "test"}


class Sentence(Official):
    """A line; `identifier` is split-set-pair-sentence, `directory` the folder of a train pair."""

    identifier: str
    sentence: Text
    label: Literal["True", "False"]
    directory: int | str | None = None


def find_sentences(context: ReadContext) -> Iterator[Record]:
    """Every sentence of train, dev and test1."""
    for name, split in FILES.items():
        path = context.find(f"{name}.json", f"data/{name}.json", f"nlvr2/data/{name}.json")
        if path:
            yield from context.read_records(path, split, "identifier")


def convert_sentence(record: Record, context: ReadContext) -> Iterator[Example]:
    """One sentence with its left and right picture."""
    line = Sentence.model_validate(record.value)
    parts = line.identifier.split("-")
    if len(parts) != 4:
        raise RecordError("malformed", f"identifier {line.identifier!r} has not 4 parts")
    name, pictures, pair, sentence = parts
    folders = [name] if line.directory is None else [f"{name}/{line.directory}", name]
    places = [f"{top}{folder}" for folder in folders for top in ("images/", "")]
    images = tuple(
        context.image(*(f"{place}/{name}-{pictures}-{pair}-img{side}.png" for place in places))
        for side in (0, 1)
    )
    # The official consistency unit: one sentence over its pairs (nlvr2/eval/metrics.py).
    group = f"{name}-{pictures}-{sentence}"
    # Sentences of one set share their pictures, so a set is dealt whole.
    split = context.split(record.split, f"{name}-{pictures}")
    target = line.label.lower()
    yield Example(
        id=f"{context.dataset}/{split}/{line.identifier}", dataset=context.dataset, split=split,
        task="nlvr", images=images, question=line.sentence, answers=(target,),
        target=target, group=group, meta=dump_meta({"identifier": line.identifier}),
    )  # fmt: skip


NLVR2 = Reader(
    name="nlvr2",
    task="nlvr",
    files=("{train,dev,test1}.json", "images/train/<directory>/*.png", "images/{dev,test1}/*.png"),
    licence="CC BY 4.0; the photos have their own terms",
    find=find_sentences,
    convert=convert_sentence,
    page=Page(
        title="NLVR2",
        category="visual reasoning",
        use="train, test",
        url="https://github.com/lil-lab/nlvr",
        records="train 86,373, dev 6,982, test 6,967",
        makes="a sentence about two pictures; true or false",
    ),
    roles={
        "train": "train.json",
        "dev": "dev.json",
        "test": "test1.json",
        "images": "images/",
    },
)
