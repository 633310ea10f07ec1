"""COCO instances as interconnected images: the frame and one crop; say what the crop shows.

Official `instances_<split><year>.json`. Not taken: crowds, and objects that COCO itself calls
small (cocoeval: area below 32 x 32 pixels), of whose crop nobody could tell what it is.
"""

from collections.abc import Iterator

from mmicl.records import Example, crop_reference
from mmicl.sources.boxes import cut_box
from mmicl.sources.coco import Annotation, group_name, join_annotations, picture_places
from mmicl.sources.official import Record, RecordError, dump_meta
from mmicl.sources.reader import Page, Reader
from mmicl.sources.reading import ReadContext

SMALL_AREA = 32 * 32


class Instance(Annotation):
    """An annotation of an instances file; `bbox` is left, top, width, height in pixels."""

    category_id: int
    iscrowd: int
    area: float
    bbox: list[float]


def find_instances(context: ReadContext) -> Iterator[Record]:
    """Every object of every picture."""
    for record in join_annotations(context, "instances*.json", Instance, "pictures without boxes"):
        if isinstance(record.value, RecordError):
            yield record
            continue
        picture, instances, table = record.value
        for instance in instances:
            if instance.iscrowd:
                context.unused["crowds"] += 1
            elif instance.area < SMALL_AREA:
                context.unused["objects below 32 x 32 pixels"] += 1
            else:
                own = f"{picture.id}-{instance.id}"
                yield Record(record.split, own, record.file, (picture, instance, table))


def convert_instance(record: Record, context: ReadContext) -> Iterator[Example]:
    """The frame and the crop of one object; its category's name is the answer."""
    picture, instance, table = record.value
    name = table.categories.get(instance.category_id)
    if name is None:
        raise RecordError("unknown_category", f"no category {instance.category_id} in the file")
    if len(instance.bbox) != 4:
        raise RecordError("malformed", f"bbox has {len(instance.bbox)} numbers, not 4")
    frame = context.image(*picture_places(table.stem, picture.file_name))
    left, top, width, height = instance.bbox
    box = cut_box(left, top, left + width, top + height, context.size(frame))
    group = group_name(picture.id)
    split = context.split(record.split, group)
    yield Example(
        id=f"{context.dataset}/{split}/{record.id}", dataset=context.dataset, split=split,
        task="region", images=(frame, crop_reference(frame, box)), question="", answers=(name,),
        target=name, group=group, meta=dump_meta({"image_id": picture.id}),
    )  # fmt: skip


COCO_REGION = Reader(
    name="coco_region",
    task="region",
    files=("annotations/instances_{train,val}2017.json", "{train,val}2017/*.jpg (or images/)"),
    licence="boxes CC BY 4.0; photos under their Flickr terms",
    find=find_instances,
    convert=convert_instance,
    page=Page(
        title="COCO instances",
        category="interconnected images (ours)",
        use="train",
        url="https://cocodataset.org/#download",
        records="train2017 860,001 boxes, val2017 36,781, crowds and small objects included",
        makes="the frame and the crop of one object; its category is the answer",
    ),
    roles={
        "train": "instances_train2017.json",
        "val": "instances_val2017.json",
        "train_images": "train2017/",
        "val_images": "val2017/",
    },
)
