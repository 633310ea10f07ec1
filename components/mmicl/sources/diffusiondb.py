"""DiffusionDB: pictures that Stable Diffusion made, with the prompt that made them.

Official folders `part-000001/` with `part-000001.json`, an object of pictures by file name, whose
`p` is the prompt. A prompt made several pictures, which are one group.
"""

import hashlib
from collections.abc import Iterator
from pathlib import PurePosixPath

from mmicl.records import Example
from mmicl.sources.json_tables import read_object
from mmicl.sources.official import Official, Record, Text
from mmicl.sources.reader import Page, Reader
from mmicl.sources.reading import ReadContext


class Made(Official):
    """What a picture was made with; `p` is the prompt, `se` the seed."""

    p: Text
    se: int = 0


def find_pictures(context: ReadContext) -> Iterator[Record]:
    """Every picture of every part."""
    for path in context.files("**/part-*/part-*.json"):
        yield from read_object(context, path, "train")


def convert_picture(record: Record, context: ReadContext) -> Iterator[Example]:
    """One picture with its prompt."""
    made = Made.model_validate(record.value)
    image = context.image(str(PurePosixPath(record.file).parent / record.id))
    digest = hashlib.sha256(made.p.encode("utf-8", "replace")).hexdigest()
    yield context.example(
        record.split, record.id, task="caption", images=(image,), question="",
        answers=(made.p,), target=made.p, group=f"diffusiondb-{digest[:16]}",
        meta={"image": record.id, "seed": made.se},
    )  # fmt: skip


DIFFUSIONDB = Reader(
    name="diffusiondb",
    task="caption",
    files=("part-<number>/part-<number>.json", "part-<number>/<uuid>.png"),
    licence="CC0 1.0",
    find=find_pictures,
    convert=convert_picture,
    page=Page(
        title="DiffusionDB",
        category="image captioning",
        use="train",
        url="https://github.com/poloclub/diffusiondb",
        records="2M: 2,000,000 pictures in 2,000 parts; large: 14,000,000",
        makes="a made picture; its prompt is the caption",
    ),
)
