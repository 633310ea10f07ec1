"""Hateful Memes: a picture with words on it; is it hateful? Yes or no.

Official `train.jsonl`, `dev_seen.jsonl`, `test_seen.jsonl` (the first phase's `dev` and `test`,
whose test has no labels) and `img/`. The unseen files overlap the seen ones; name them by role.
"""

from collections.abc import Iterator

from mmicl.records import Example, Split
from mmicl.sources.json_tables import keep_public
from mmicl.sources.official import Official, Record, RecordError, Text
from mmicl.sources.reader import Page, Reader
from mmicl.sources.reading import ReadContext

FILES: dict[Split, tuple[str, ...]] = {
    "train": ("train.jsonl",),
    "val": ("dev_seen.jsonl", "dev.jsonl"),
    "test": ("test_seen.jsonl", "test.jsonl"),
}


class Meme(Official):
    """A line; `img` is below the dataset's folder."""

    id: int | str
    img: str
    text: Text
    label: int


def find_memes(context: ReadContext) -> Iterator[Record]:
    """Every meme whose label is public."""
    for split, names in FILES.items():
        path = context.find(*names, *(f"data/{name}" for name in names))
        if path:
            yield from keep_public(
                context, context.read_records(path, split, "id"), "label", "memes"
            )


def convert_meme(record: Record, context: ReadContext) -> Iterator[Example]:
    """One meme; its words stand in the question, as models without reading need them."""
    meme = Meme.model_validate(record.value)
    if meme.label not in (0, 1):
        raise RecordError("malformed", f"label {meme.label}")
    target = "yes" if meme.label else "no"
    image = context.image(meme.img, f"data/{meme.img}")
    yield context.example(
        record.split, str(meme.id), task="classify", images=(image,),
        question=f"The text on the image says: {meme.text} Is this hateful?", answers=(target,),
        target=target, group=f"hateful-memes-{meme.id}", meta={"id": meme.id},
    )  # fmt: skip


HATEFUL_MEMES = Reader(
    name="hateful_memes",
    task="classify",
    files=("{train,dev_seen,test_seen}.jsonl", "img/*.png"),
    licence="Hateful Memes licence (Meta, research only); pictures from Getty Images",
    find=find_memes,
    convert=convert_meme,
    page=Page(
        title="Hateful Memes",
        category="classification",
        use="test",
        url="https://hatefulmemeschallenge.com",
        records="train 8,500, dev_seen 500, test_seen 1,000",
        makes="a meme and its text; is it hateful? yes or no",
    ),
    roles={"train": "train.jsonl", "dev": "dev_seen.jsonl", "test": "test_seen.jsonl"},
)
