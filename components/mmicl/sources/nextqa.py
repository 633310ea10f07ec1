"""NExT-QA: why, how and when in everyday videos; five options, or an open answer.

Both releases have `<split>.csv`, of different columns. Of the multiple-choice one `answer` is an
option's number, so that reading it as open answers would teach digits; it is refused.
`map_vid_vidorID.json` says below which folder of VidOR a video lies, where it is not in `videos/`.
"""

from collections.abc import Iterator
from typing import Literal

from mmicl.errors import DataError
from mmicl.records import Example
from mmicl.sources.official import Official, Record, RecordError, Text
from mmicl.sources.reader import FRAMES, Page, Reader
from mmicl.sources.reading import SPLITS, ReadContext
from mmicl.sources.tables import read_table
from mmicl.sources.texts import refuse_reserved

OPTIONS = ("a0", "a1", "a2", "a3", "a4")
COLUMNS = ("video", "question", "answer", "qid", "type")
MAP = "map_vid_vidorID.json"


class Question(Official):
    """What the rows of both releases share."""

    video: str
    question: Text
    qid: str
    type: str


class Choices(Question):
    """A row of the multiple-choice release; `answer` is an option's number."""

    answer: Literal["0", "1", "2", "3", "4"]
    a0: Text
    a1: Text
    a2: Text
    a3: Text
    a4: Text


class Open(Question):
    """A row of the open-ended release."""

    answer: Text
    additional_ref_answer: str = ""


def find_questions(context: ReadContext, columns: tuple[str, ...]) -> Iterator[Record]:
    """Every question of train, val and test; a record's value is (row, the video's place)."""
    mapped = context.find(MAP, f"nextqa/{MAP}")
    places = context.read_json(mapped) if mapped else {}
    if not isinstance(places, dict):
        raise DataError("is no object of videos", where=f"{context.dataset}: {MAP}")
    for split in SPLITS:
        path = context.find(f"{split}.csv", f"nextqa/{split}.csv")
        if path is None:
            continue
        for record in read_table(context, path, split, "qid", columns):
            if isinstance(record.value, RecordError):
                yield record
                continue
            row = record.value
            if columns == COLUMNS and "a0" in row:
                remedy = "read it with nextqa, or give the open-ended release's file"
                where = f"{context.dataset}: {record.file}"
                raise DataError("is of the multiple-choice release", where=where, remedy=remedy)
            own = f"{row['video']}_{row['qid']}"
            place = str(places.get(row["video"], row["video"]))
            yield Record(split, own, record.file, (row, place))


def find_choices(context: ReadContext) -> Iterator[Record]:
    """The questions of the multiple-choice release."""
    return find_questions(context, (*COLUMNS, *OPTIONS))


def find_open(context: ReadContext) -> Iterator[Record]:
    """The questions of the open-ended release."""
    return find_questions(context, COLUMNS)


def convert_choices(record: Record, context: ReadContext) -> Iterator[Example]:
    """The frames of a video, a question and five options."""
    row, place = record.value
    asked = Choices.model_validate(row)
    options = (asked.a0, asked.a1, asked.a2, asked.a3, asked.a4)
    answer = int(asked.answer)
    yield context.example(
        record.split, record.id, task="video_choice", images=_frames(context, asked.video, place),
        question=asked.question, choices=options, answers=(options[answer],),
        answer_index=answer, target=options[answer], group=f"nextqa-{asked.video}",
        meta={"video": asked.video, "qid": asked.qid, "type": asked.type},
    )  # fmt: skip


def convert_open(record: Record, context: ReadContext) -> Iterator[Example]:
    """The frames of a video, a question and an answer of a few words, sometimes two."""
    row, place = record.value
    asked = Open.model_validate(row)
    refuse_reserved([asked.additional_ref_answer])
    other = " ".join(asked.additional_ref_answer.split())
    yield context.example(
        record.split, record.id, task="video", images=_frames(context, asked.video, place),
        question=asked.question, answers=(asked.answer, other) if other else (asked.answer,),
        target=asked.answer, group=f"nextqa-{asked.video}",
        meta={"video": asked.video, "qid": asked.qid, "type": asked.type},
    )  # fmt: skip


def _frames(context: ReadContext, video: str, place: str) -> tuple[str, ...]:
    return context.frames(f"videos/{video}.mp4", f"NExTVideo/{place}.mp4", f"{video}.mp4")


ROLES = {
    "train": "train.csv", "val": "val.csv", "test": "test.csv", "videos": "videos/", "map": MAP,
}  # fmt: skip
NEXTQA = Reader(
    name="nextqa",
    task="video_choice",
    files=("{train,val,test}.csv", "videos/<video>.mp4 (or NExTVideo/)", f"{MAP} (if any)"),
    licence="MIT; videos of VidOR (YFCC100M) under their Flickr terms",
    find=find_choices,
    convert=convert_choices,
    page=Page(
        title="NExT-QA, multiple choice",
        category="video QA",
        use="test",
        url="https://github.com/doc-doc/NExT-QA",
        records="train 34,132, val 4,996, test 8,564",
        makes="frames of a video, a question and five options",
    ),
    roles=ROLES,
    frames=FRAMES,
)
NEXTQA_OPEN = Reader(
    name="nextqa_open",
    task="video",
    files=NEXTQA.files,
    licence=NEXTQA.licence,
    find=find_open,
    convert=convert_open,
    page=Page(
        title="NExT-QA, open-ended",
        category="video QA",
        use="test",
        url="https://github.com/doc-doc/NExT-OE",
        records="train 37,523, val 5,343, test 9,178",
        makes="frames of a video and a question; an answer of a few words, sometimes two",
    ),
    roles=ROLES,
    frames=FRAMES,
)
