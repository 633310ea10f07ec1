"""Bongard-HOI: six pictures that share an action on an object, six that do not, one to be judged.

Official `bongard_hoi_{train,val_…,test_…}.json`: arrays of [seven positives, seven negatives,
concept]. The last of each seven is the query, so that a record makes two questions, the official
evaluation's. Pictures lie as in HAKE, below `hake/`.
"""

from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

from mmicl.errors import DataError
from mmicl.records import Example, Split
from mmicl.sources.official import Official, Record, RecordError
from mmicl.sources.reader import Page, Reader
from mmicl.sources.reading import SPLITS, ReadContext

SHOTS = 6
PARTS = tuple(
    f"{split}_{objects}_obj_{actions}_act"
    for split in ("val", "test")
    for objects in ("seen", "unseen")
    for actions in ("seen", "unseen")
)
"""The official files of val and test, by what the training split has shown."""
QUESTION = (
    "<image:0> to <image:5> share something that <image:6> to <image:11> do not have. "
    "Does <image:12> have it?"
)


class Picture(Official):
    """A picture of a record; its boxes are not used."""

    im_path: str


def find_problems(context: ReadContext) -> Iterator[Record]:
    """Every problem, by its file and its number in it."""
    for path in context.files("**/bongard_hoi_*.json"):
        stem = PurePosixPath(context.official_name(path)).stem.removeprefix("bongard_hoi_")
        split = _split(stem)
        if split is None:
            continue
        value = context.read_json(path)
        if not isinstance(value, list):
            raise DataError("is no array", where=f"{context.dataset}: {context.name(path)}")
        for number, entry in enumerate(value, start=1):
            yield Record(split, f"{stem}-{number}", context.name(path), entry)


def _split(stem: str) -> Split | None:
    """The split that a file's own name begins with, `test_unseen_obj_seen_act`."""
    return next((split for split in SPLITS if stem.split("_")[0] == split), None)


def convert_problem(record: Record, context: ReadContext) -> Iterator[Example]:
    """Two questions: the seventh positive, and the seventh negative."""
    positives, negatives, concept = read_problem(record.value)
    context_images = [_store(one, context) for one in (*positives[:SHOTS], *negatives[:SHOTS])]
    for target, query in (("yes", positives[SHOTS]), ("no", negatives[SHOTS])):
        yield context.example(
            record.split, f"{record.id}-{target}", task="classify",
            images=(*context_images, _store(query, context)), question=QUESTION,
            answers=(target,), target=target, group=f"bongard-{concept}",
            meta={"concept": concept},
        )  # fmt: skip


def read_problem(value: Any) -> tuple[list[Picture], list[Picture], str]:
    """Positives, negatives and concept.

    Raises:
        RecordError: Not such an array, or not seven of each.
        ValidationError: A picture has no path.
    """
    if not isinstance(value, list) or len(value) != 3 or not isinstance(value[2], str):
        raise RecordError("malformed", "not positives, negatives and a concept")
    sides = []
    for side in value[:2]:
        if not isinstance(side, list) or len(side) != SHOTS + 1:
            raise RecordError("malformed", f"not {SHOTS + 1} pictures on each side")
        sides.append([Picture.model_validate(one) for one in side])
    return sides[0], sides[1], value[2]


def _store(picture: Picture, context: ReadContext) -> str:
    """A picture by its path, of which only what follows `hake/` is the same everywhere."""
    place = picture.im_path.rpartition("hake/")[2].removeprefix("./")
    return context.image(f"hake/{place}", place, f"data/hake/{place}")


BONGARD_HOI = Reader(
    name="bongard_hoi",
    task="classify",
    files=("bongard_hoi_{train,val_*,test_*}.json", "hake/images/*"),
    licence="NVIDIA source code licence (research); pictures of HAKE under their own terms",
    find=find_problems,
    convert=convert_problem,
    page=Page(
        title="Bongard-HOI",
        category="classification",
        use="test",
        url="https://github.com/NVlabs/Bongard-HOI",
        records="train 23,041, val 17,187, test 13,941 problems",
        makes="six pictures with and six without an action, and one to be judged: yes or no",
    ),
    roles={
        "train": "bongard_hoi_train.json",
        **{part: f"bongard_hoi_{part}.json" for part in PARTS},
        "images": "hake/",
    },
)
