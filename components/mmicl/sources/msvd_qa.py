"""MSVD-QA: a question about a short video, one word as the answer.

Official `<split>_qa.json` are MSRVTT-QA's form; `<split>.csv` is that of doc-doc's releases, which
number the same questions. The official videos are AVI.
"""

from collections.abc import Iterator

from mmicl.records import Example
from mmicl.sources.official import Official, Record, RecordError, Text
from mmicl.sources.reader import FRAMES, Page, Reader
from mmicl.sources.reading import SPLITS, ReadContext
from mmicl.sources.tables import read_table

COLUMNS = ("video", "question", "answer", "qid")


class Question(Official):
    """An entry; `id` counts through all three files."""

    id: int | str
    question: Text
    answer: Text
    video_id: int | str


def find_questions(context: ReadContext) -> Iterator[Record]:
    """Every question of train, val and test, under the official names of the fields."""
    for split in SPLITS:
        if path := context.find(f"{split}_qa.json", f"MSVD-QA/{split}_qa.json"):
            yield from context.read_records(path, split, "id")
        elif path := context.find(f"{split}.csv", f"msvd/{split}.csv"):
            for record in read_table(context, path, split, "qid", COLUMNS):
                value = record.value
                if not isinstance(value, RecordError):
                    value = {
                        "id": value["qid"], "video_id": value["video"],
                        "question": value["question"], "answer": value["answer"],
                    }  # fmt: skip
                yield Record(split, record.id, record.file, value)


def convert_question(record: Record, context: ReadContext) -> Iterator[Example]:
    """One question with the frames of its video."""
    question = Question.model_validate(record.value)
    video = question.video_id
    names = (f"vid{video}.avi", f"vid{video}.mp4", f"{video}.avi", f"{video}.mp4")
    images = context.frames(*(f"videos/{name}" for name in names))
    yield context.example(
        record.split, str(question.id), task="video", images=images, question=question.question,
        answers=(question.answer,), target=question.answer, group=f"msvd-{video}",
        meta={"video_id": video},
    )  # fmt: skip


MSVD_QA = Reader(
    name="msvd_qa",
    task="video",
    files=("{train,val,test}_qa.json (or .csv)", "videos/vid<id>.avi (or .mp4)"),
    licence="none declared; videos under YouTube's terms",
    find=find_questions,
    convert=convert_question,
    page=Page(
        title="MSVD-QA",
        category="video QA",
        use="test",
        url="https://github.com/xudejing/video-question-answering",
        records="train 30,933, val 6,415, test 13,157",
        makes="frames of a video and a question; one word is the answer",
    ),
    roles={
        "train": "train_qa.json",
        "val": "val_qa.json",
        "test": "test_qa.json",
        "train_csv": "train.csv",
        "val_csv": "val.csv",
        "test_csv": "test.csv",
        "videos": "videos/",
    },
    frames=FRAMES,
)
