"""COCO captions: the official `captions_<split><year>.json`, one picture with about five captions.

Train gives one Example per caption; val and test one per picture, whose answers are all captions.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal, cast

from pydantic import ValidationError

from mmicl.errors import DataError
from mmicl.records import Example, Split
from mmicl.sources.official import (
    Official,
    Record,
    RecordError,
    Text,
    explain_invalid,
    write_plainly,
)
from mmicl.sources.reader import Page, Reader
from mmicl.sources.reading import ReadContext

KARPATHY = "dataset_coco.json"


class Picture(Official):
    """An entry of `images`."""

    id: int
    file_name: str


class Annotation(Official):
    """An entry of `annotations`."""

    id: int
    image_id: int


class KarpathyPhoto(Official):
    """An entry of Karpathy's split."""

    cocoid: int
    split: Literal["train", "restval", "val", "test"]


class Category(Official):
    """An entry of `categories` (instances files)."""

    id: int
    name: Text


@dataclass(frozen=True)
class AnnotationFile:
    """An annotation file: its name without the suffix, and its categories' names by id."""

    stem: str
    categories: dict[int, str]


class Caption(Annotation):
    """An annotation of a captions file."""

    caption: Text


def group_name(image_id: int) -> str:
    """The group of everything over one COCO picture, the same in all datasets over COCO."""
    return f"coco-{image_id}"


def photo_places(folder: str, image_id: int) -> list[str]:
    """Where a COCO photo of the official folder `folder` (`train2014`, `val2017`) may lie."""
    number = f"{image_id:012d}"
    official = f"COCO_{folder}_{number}" if folder.endswith(("2014", "2015")) else number
    places = [
        f"{parent}{folder}/{official}.{suffix}"
        for parent in ("", "Images/", "images/")
        for suffix in ("jpg", "png")
    ]
    return [*places, f"images/{official}.jpg", f"images/{number}.jpg"]


def read_karpathy(context: ReadContext) -> dict[int, Split]:
    """Karpathy's split of COCO 2014 by photo, where `dataset_coco.json` is there; else empty.

    Captioning papers, and BLIP-2 and MMICL for VQA v2, test on its 5,000 test photos, which are
    of val2014; `restval`, the rest of val2014, is trained on.

    Raises:
        DataError: The file is not of that form.
    """
    path = context.find(KARPATHY, f"karpathy/{KARPATHY}")
    if path is None:
        return {}
    splits: dict[int, Split] = {}
    for number, entry in enumerate(context.stream_section(path, "images"), start=1):
        try:
            photo = KarpathyPhoto.model_validate(entry)
        except ValidationError as error:
            where = f"{context.dataset}: {context.name(path)}"
            raise DataError(f"photo {number}: {explain_invalid(error)}", where=where) from None
        splits[photo.cocoid] = "train" if photo.split == "restval" else photo.split
    return splits


def official_split(stem: str) -> Split:
    """The split that a COCO file name ends in (`captions_val2017`); train where it names none."""
    match = re.search(r"_(train|val|test)\d*$", stem)
    return cast("Split", match[1]) if match else "train"


def picture_places(stem: str, file_name: str) -> tuple[str, ...]:
    """Where a picture of an annotation file may lie: `val2017/…` officially, or `images/…`."""
    match = re.search(r"_((?:train|val|test)\d+)$", stem)
    folders = [match[1]] if match else []
    return tuple(f"{folder}/{file_name}" for folder in [*folders, "images"])


def join_annotations(
    context: ReadContext,
    pattern: str,
    shape: type[Annotation],
    lone: str,
    listed: type[Picture] = Picture,
) -> Iterator[Record]:
    """Read annotation files, and give each picture with its annotations.

    Args:
        context: The dataset.
        pattern: Glob of the files, at the top or below `annotations`, such as `captions*.json`.
        shape: The annotations' shape.
        lone: What to call pictures without annotations in the manifest.
        listed: The pictures' shape.

    Yields:
        Records whose value is (Picture, its annotations, AnnotationFile), and one for each picture
        or annotation that is malformed, or annotation that stands alone.
    """
    for path in context.files(pattern, f"annotations/{pattern}"):
        stem = PurePosixPath(context.official_name(path)).stem
        split, file = official_split(stem), context.name(path)
        table = AnnotationFile(stem, _read_categories(context, path))
        annotations: dict[int, list[Annotation]] = defaultdict(list)
        for entry in context.stream_section(path, "annotations"):
            try:
                annotation = shape.model_validate(entry)
            except ValidationError as error:
                yield Record(split, f"annotation {_id(entry)}", file, explain_invalid(error))
            else:
                annotations[annotation.image_id].append(annotation)
        for entry in context.stream_section(path, "images"):
            try:
                picture = listed.model_validate(entry)
            except ValidationError as error:
                yield Record(split, f"picture {_id(entry)}", file, explain_invalid(error))
                continue
            if found := annotations.pop(picture.id, []):
                yield Record(split, str(picture.id), file, (picture, found, table))
            else:
                context.unused[lone] += 1
        for picture_id, orphans in sorted(annotations.items()):
            error = RecordError("unknown_picture", f"the file lists no picture {picture_id}")
            for orphan in orphans:
                yield Record(split, f"annotation {orphan.id}", file, error)


def _read_categories(context: ReadContext, path: Path) -> dict[int, str]:
    """Names by number; none in a file of captions."""
    try:
        entries = context.stream_section(path, "categories", optional=True)
        return {entry.id: entry.name for entry in map(Category.model_validate, entries)}
    except ValidationError as error:
        where = f"{context.dataset}: {context.name(path)}"
        raise DataError(f"categories: {explain_invalid(error)}", where=where) from None


def _id(entry: Any) -> str:
    return write_plainly(str(entry.get("id", "?"))) if isinstance(entry, dict) else "?"


def find_captions(context: ReadContext) -> Iterator[Record]:
    """Every picture with its captions."""
    return join_annotations(context, "captions*.json", Caption, "pictures without captions")


def convert_captions(record: Record, context: ReadContext) -> Iterator[Example]:
    """One Example per caption in train, one per picture elsewhere."""
    picture, captions, table = record.value
    image = context.image(*picture_places(table.stem, picture.file_name))
    yield from spread_captions(
        context, record.split, str(picture.id), [(str(one.id), one.caption) for one in captions],
        task="caption", images=(image,), question="", group=group_name(picture.id),
        meta={"image_id": picture.id},
    )  # fmt: skip


def spread_captions(
    context: ReadContext,
    official: Split,
    own: str,
    captions: Sequence[tuple[str, str]],
    **fields: Any,
) -> Iterator[Example]:
    """One Example per caption in train, one per picture elsewhere; all captions are its answers.

    Args:
        context: The dataset.
        official: The official split.
        own: The picture's id within the split.
        captions: Each caption's id and text, in the file's order.
        **fields: The other fields, as `ReadContext.example` takes them.
    """
    train = context.split(official, fields["group"]) == "train"
    answers = tuple(caption for _, caption in captions)
    for number, caption in captions if train else captions[:1]:
        name = f"{own}-{number}" if train else own
        yield context.example(official, name, answers=answers, target=caption, **fields)


COCO_CAPTION = Reader(
    name="coco_caption",
    task="caption",
    files=("annotations/captions_{train,val}2017.json", "{train,val}2017/*.jpg (or images/)"),
    licence="captions CC BY 4.0; photos under their Flickr terms",
    find=find_captions,
    convert=convert_captions,
    page=Page(
        title="COCO captions",
        category="image captioning",
        use="stage I, train",
        url="https://cocodataset.org/#download",
        records="train2017 118,287 pictures, val2017 5,000; about five captions each",
        makes="a picture and a caption; in val and test all captions of a picture are its answers",
    ),
    roles={
        "train": "captions_train2017.json",
        "val": "captions_val2017.json",
        "train_images": "train2017/",
        "val_images": "val2017/",
    },
)
