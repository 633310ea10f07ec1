"""Winoground: two pictures and two captions of the same words; caption k belongs to picture k."""

from collections.abc import Iterator

from mmicl.records import Example
from mmicl.sources.official import Official, Record, Text, dump_meta
from mmicl.sources.reader import Page, Reader
from mmicl.sources.reading import ReadContext


class Item(Official):
    """A line of examples.jsonl; pictures are named without their suffix."""

    id: int
    image_0: str
    image_1: str
    caption_0: Text
    caption_1: Text
    collapsed_tag: str = ""


def find_items(context: ReadContext) -> Iterator[Record]:
    """Every item; all are test."""
    path = context.find("data/examples.jsonl", "examples.jsonl")
    if path:
        yield from context.read_records(path, "test", "id")


def convert_item(record: Record, context: ReadContext) -> Iterator[Example]:
    """One item. It has no target: `mmicl.mic.queries` makes four questions of it."""
    item = Item.model_validate(record.value)
    images = tuple(
        context.image(
            *(
                f"{folder}images/{name}{suffix}"
                for folder in ("data/", "")
                for suffix in (".png", ".jpg")
            )
        )
        for name in (item.image_0, item.image_1)
    )
    group = f"winoground-{item.id}"
    split = context.split(record.split, group)
    yield Example(
        id=f"{context.dataset}/{split}/{item.id}", dataset=context.dataset, split=split,
        task="winoground", images=images, question="", choices=(item.caption_0, item.caption_1),
        target="", group=group, meta=dump_meta({"id": item.id, "tag": item.collapsed_tag}),
    )  # fmt: skip


WINOGROUND = Reader(
    name="winoground",
    task="winoground",
    files=("data/examples.jsonl", "data/images/*.png"),
    licence="META IMAGES RESEARCH LICENSE (Getty Images); evaluation only",
    find=find_items,
    convert=convert_item,
    page=Page(
        title="Winoground",
        category="visual reasoning",
        use="test",
        url="https://huggingface.co/datasets/facebook/winoground",
        records="400",
        makes="two pictures and two captions of the same words; four yes/no questions",
    ),
    roles={"items": "data/examples.jsonl", "images": "data/images/"},
)
