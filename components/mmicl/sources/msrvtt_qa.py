"""MSRVTT-QA: a question about a video, one word as the answer. Official files are JSON arrays."""

from collections.abc import Iterator

from mmicl.records import Example, Split
from mmicl.sources.official import Official, Record, Text, dump_meta
from mmicl.sources.reader import FRAMES, Page, Reader
from mmicl.sources.reading import ReadContext

FILES: dict[str, Split] = {"train_qa.json": "train", "val_qa.json": "val", "test_qa.json": "test"}
FOLDERS = ("videos/", "videos/all/", "TrainValVideo/", "TestVideo/", "")
"""Where MSR-VTT's releases have the videos."""


class Question(Official):
    """An entry; `id` counts through all three files."""

    id: int
    question: Text
    answer: Text
    video_id: int
    category_id: int


def find_questions(context: ReadContext) -> Iterator[Record]:
    """Every question of train, val and test."""
    for name, split in FILES.items():
        if path := context.find(name, f"MSRVTT-QA/{name}"):
            yield from context.read_records(path, split, "id")


def convert_question(record: Record, context: ReadContext) -> Iterator[Example]:
    """One question with the frames of its video."""
    question = Question.model_validate(record.value)
    places = [f"{folder}video{question.video_id}.mp4" for folder in FOLDERS]
    images = context.frames(*places)
    group = f"msrvtt-{question.video_id}"
    split = context.split(record.split, group)
    meta = {"video_id": question.video_id, "category_id": question.category_id}
    yield Example(
        id=f"{context.dataset}/{split}/{question.id}", dataset=context.dataset, split=split,
        task="video", images=images, question=question.question, answers=(question.answer,),
        target=question.answer, group=group, meta=dump_meta(meta),
    )  # fmt: skip


MSRVTT_QA = Reader(
    name="msrvtt_qa",
    task="video",
    files=("{train,val,test}_qa.json", "videos/video<id>.mp4"),
    licence="none declared; videos under YouTube's terms",
    find=find_questions,
    convert=convert_question,
    page=Page(
        title="MSRVTT-QA",
        category="video QA",
        use="train",
        url="https://github.com/xudejing/video-question-answering",
        records="train 158,581, val 12,278, test 72,821",
        makes="frames of a video and a question; one word is the answer",
    ),
    roles={
        "train": "train_qa.json",
        "val": "val_qa.json",
        "test": "test_qa.json",
        "videos": "videos/",
    },
    frames=FRAMES,
)
