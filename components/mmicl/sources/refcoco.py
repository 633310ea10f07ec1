"""RefCOCO as interconnected images: the COCO photo and the crop of the object that is spoken of.

Official `refs(unc).p` and `instances.json`. The crop is COCO's own box (left, top, width, height),
never one read off a crop that an earlier run left, by which the released project's labels
depended on the order of runs. The pickle is read without building any object but plain ones.
"""

import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

from pydantic import Field, ValidationError

from mmicl.errors import DataError
from mmicl.files import hash_file
from mmicl.records import Example, Split, crop_reference
from mmicl.sources.boxes import cut_box
from mmicl.sources.coco import group_name, photo_places, spread_captions
from mmicl.sources.official import Official, Record, RecordError, Text, write_plainly
from mmicl.sources.reader import Page, Reader
from mmicl.sources.reading import ReadContext

REFERENCES, INSTANCES = "refs(unc).p", "instances.json"
SPLITS: dict[str, Split] = {
    "train": "train", "val": "val", "test": "test", "testA": "test", "testB": "test",
}  # fmt: skip


class Sentence(Official):
    """One way to speak of an object."""

    sent_id: int
    sent: Text


class Reference(Official):
    """An object that is spoken of."""

    ref_id: int
    ann_id: int
    image_id: int
    split: str
    sentences: list[Sentence] = Field(min_length=1)


class Instance(Official):
    """An annotation of instances.json; `bbox` is left, top, width, height in pixels."""

    id: int
    image_id: int
    bbox: list[float] = Field(min_length=4, max_length=4)


class PlainUnpickler(pickle.Unpickler):
    """Builds lists, dicts, numbers and texts; a pickle that wants any class is refused."""

    def find_class(self, module_name: str, global_name: str) -> NoReturn:
        """Refuse every class and function.

        Raises:
            UnpicklingError: Always.
        """
        raise pickle.UnpicklingError(f"wants {module_name}.{global_name}")


def find_references(context: ReadContext) -> Iterator[Record]:
    """Every object that is spoken of; a value is (reference, instances by id)."""
    path = context.find(REFERENCES, f"refcoco/{REFERENCES}")
    if path is None:
        return
    table = context.find(INSTANCES, f"refcoco/{INSTANCES}")
    if table is None:
        where = f"dataset {context.dataset}"
        raise DataError(f"no {INSTANCES}", where=where, remedy=f"put it beside {path.name}")
    instances = {}
    for number, entry in enumerate(context.stream_section(table, "annotations"), start=1):
        if isinstance(entry, dict):  # without its outline, by far the longest part
            kept = {name: entry[name] for name in Instance.model_fields if name in entry}
            instances[entry.get("id", number)] = kept
    for number, entry in enumerate(read_plain(context, path), start=1):
        if not isinstance(entry, dict) or entry.get("split") not in SPLITS:
            error = RecordError("malformed", "not a reference with a known split")
            yield Record("train", f"record {number}", context.name(path), error)
        else:
            own = write_plainly(str(entry.get("ref_id", f"record {number}")))
            split = SPLITS[entry["split"]]
            yield Record(split, own, context.name(path), (entry, instances))


def read_plain(context: ReadContext, path: Path) -> list[Any]:
    """A pickled list of plain values, as Python 2 wrote it.

    Raises:
        DataError: Not a pickle, no list, or one that would build an object.
    """
    context.sources[context.name(path)] = hash_file(path)
    where = f"{context.dataset}: {context.name(path)}"
    try:
        with path.open("rb") as stream:
            value = PlainUnpickler(stream, encoding="utf-8").load()
    except Exception as error:
        raise DataError(f"not a pickle of plain values ({error})", where=where) from None
    if not isinstance(value, list):
        raise DataError("is no list of references", where=where)
    return value


def convert_reference(record: Record, context: ReadContext) -> Iterator[Example]:
    """The photo and the crop; one Example per sentence in train, one per object elsewhere."""
    entry, instances = record.value
    reference = Reference.model_validate(entry)
    if reference.ann_id not in instances:
        raise RecordError("missing_annotation", f"{INSTANCES} has no {reference.ann_id}")
    try:
        instance = Instance.model_validate(instances[reference.ann_id])
    except ValidationError:
        raise RecordError("malformed", f"annotation {reference.ann_id} has no box") from None
    if instance.image_id != reference.image_id:
        raise RecordError("malformed", "reference and annotation name different pictures")
    frame = context.image(*photo_places("train2014", reference.image_id))
    left, top, width, height = instance.bbox
    box = cut_box(left, top, left + width, top + height, context.size(frame))
    yield from spread_captions(
        context, record.split, str(reference.ref_id),
        [(str(one.sent_id), one.sent) for one in reference.sentences],
        task="region", images=(frame, crop_reference(frame, box)), question="",
        group=group_name(reference.image_id),
        meta={"ref_id": reference.ref_id, "split": reference.split},
    )  # fmt: skip


REFCOCO = Reader(
    name="refcoco",
    task="region",
    files=(REFERENCES, INSTANCES, "train2014/COCO_train2014_*.jpg"),
    licence="Apache-2.0; photos under their Flickr terms",
    find=find_references,
    convert=convert_reference,
    page=Page(
        title="RefCOCO",
        category="image QA",
        use="train",
        url="https://github.com/lichengunc/refer",
        records="142,210 sentences: train 120,624, val 10,834, testA 5,657, testB 5,095",
        makes="the photo and the crop of an object; a sentence that picks it out is the answer",
    ),
    roles={"references": REFERENCES, "instances": INSTANCES, "images": "train2014/"},
)
