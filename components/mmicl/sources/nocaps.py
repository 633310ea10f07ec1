"""NoCaps: captions of Open Images photos with objects that COCO's captions do not name.

Official `nocaps_val_4500_captions.json` in COCO's form; the captions of the test split are not
public. `domain` (in, near, out) is what the official score is broken down by.
"""

from collections.abc import Iterator
from dataclasses import replace

from mmicl.records import Example
from mmicl.sources.coco import Caption, Picture, join_annotations, spread_captions
from mmicl.sources.official import Record, RecordError
from mmicl.sources.reader import Page, Reader
from mmicl.sources.reading import ReadContext

FOLDERS = ("val/", "validation/", "images/")


class Photo(Picture):
    """An entry of `images`."""

    domain: str = ""


def find_photos(context: ReadContext) -> Iterator[Record]:
    """Every photo with its ten captions."""
    lone = "pictures without captions"
    for record in join_annotations(context, "nocaps*captions*.json", Caption, lone, Photo):
        yield replace(record, split="val")


def convert_photo(record: Record, context: ReadContext) -> Iterator[Example]:
    """One Example per photo; all its captions are answers."""
    if isinstance(record.value, RecordError):
        raise record.value
    photo, captions, _ = record.value
    return spread_captions(
        context, record.split, str(photo.id), [(str(one.id), one.caption) for one in captions],
        task="caption", images=(context.image(*(f"{at}{photo.file_name}" for at in FOLDERS)),),
        question="", group=f"openimages-{photo.file_name.rpartition('.')[0]}",
        meta={"image_id": photo.id, "domain": photo.domain},
    )  # fmt: skip


NOCAPS = Reader(
    name="nocaps",
    task="caption",
    files=("nocaps_val_4500_captions.json", "val/*.jpg (or images/)"),
    licence="captions CC BY 2.0; photos CC BY 2.0 (Open Images)",
    find=find_photos,
    convert=convert_photo,
    page=Page(
        title="NoCaps",
        category="image captioning",
        use="test",
        url="https://nocaps.org",
        records="val 4,500 photos with ten captions each; test 10,600 (not public)",
        makes="a photo; all its captions are answers",
    ),
    roles={"captions": "nocaps_val_4500_captions.json", "images": "val/"},
)
