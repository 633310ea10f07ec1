"""Flickr30k in Karpathy's split: a photo and five captions.

`dataset_flickr30k.json` has photos, captions and split in one; the photos are the official ones.
"""

from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import get_args

from pydantic import Field

from mmicl.records import Example, Split
from mmicl.sources.coco import spread_captions
from mmicl.sources.json_tables import read_list
from mmicl.sources.official import Official, Record, RecordError, Text
from mmicl.sources.reader import Page, Reader
from mmicl.sources.reading import ReadContext

FILE = "dataset_flickr30k.json"
FOLDERS = ("flickr30k-images/", "flickr30k_images/", "images/")


class Caption(Official):
    """An entry of `sentences`."""

    raw: Text
    sentid: int


class Photo(Official):
    """An entry of `images`."""

    filename: str
    sentences: list[Caption] = Field(min_length=1)


def find_photos(context: ReadContext) -> Iterator[Record]:
    """Every photo in its split."""
    path = context.find(FILE, f"karpathy/{FILE}")
    if path is None:
        return
    for record in read_list(context, path, "images", "train", "imgid"):
        value = record.value
        if isinstance(value, RecordError):
            yield record
        elif value.get("split") not in get_args(Split):
            error = RecordError("malformed", f"split {value.get('split')!r}")
            yield Record("train", record.id, record.file, error)
        else:
            yield Record(value["split"], record.id, record.file, value)


def convert_photo(record: Record, context: ReadContext) -> Iterator[Example]:
    """One Example per caption in train, one per photo elsewhere."""
    photo = Photo.model_validate(record.value)
    stem = PurePosixPath(photo.filename).stem
    return spread_captions(
        context, record.split, stem, [(str(one.sentid), one.raw) for one in photo.sentences],
        task="caption", images=(context.image(*(f"{at}{photo.filename}" for at in FOLDERS)),),
        question="", group=f"flickr-{stem}", meta={"image": photo.filename},
    )  # fmt: skip


FLICKR30K = Reader(
    name="flickr30k",
    task="caption",
    files=(FILE, "flickr30k-images/*.jpg (or images/)"),
    licence="captions CC BY 3.0; photos under their Flickr terms, research only",
    find=find_photos,
    convert=convert_photo,
    page=Page(
        title="Flickr30k",
        category="image captioning",
        use="train, test",
        url="https://shannon.cs.illinois.edu/DenotationGraph",
        records="train 29,000 photos, val 1,014, test 1,000; five captions each",
        makes="a photo and a caption; in val and test all captions of a photo are its answers",
    ),
    roles={"captions": FILE, "images": "flickr30k-images/"},
)
