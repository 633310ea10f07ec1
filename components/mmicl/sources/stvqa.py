"""ST-VQA: questions whose answer is text in the picture, task 3 (open dictionary).

Official `train_task_3.json`; the test answers are not public. A picture is named below the
release's folders (`coco-text/COCO_train2014_….jpg`).
"""

import re
from collections.abc import Iterator

from pydantic import Field

from mmicl.records import Example, Split
from mmicl.sources.coco import group_name
from mmicl.sources.json_tables import keep_public, read_list
from mmicl.sources.official import Official, Record, Text
from mmicl.sources.reader import Page, Reader
from mmicl.sources.reading import ReadContext
from mmicl.sources.texts import refuse_reserved
from mmicl.sources.vqa_form import most_common

FILES: dict[str, Split] = {"train": "train", "test": "test"}
_COCO = re.compile(r"COCO_(?:train|val)2014_0*(\d+)")


class Question(Official):
    """An entry of `data`."""

    question_id: int
    question: Text
    file_path: str
    dataset: str = ""
    answers: list[str] = Field(min_length=1)


def find_questions(context: ReadContext) -> Iterator[Record]:
    """Every question whose answers are public."""
    for name, split in FILES.items():
        file = f"{name}_task_3.json"
        path = context.find(file, f"{name}/{file}")
        if path:
            records = read_list(context, path, "data", split, "question_id")
            yield from keep_public(context, records, "answers")


def convert_question(record: Record, context: ReadContext) -> Iterator[Example]:
    """One question with its picture and one or two answers."""
    question = Question.model_validate(record.value)
    refuse_reserved(question.answers)
    place = question.file_path
    image = context.image(place, f"images/{place}", f"{record.split}/{place}")
    coco = _COCO.search(place)
    yield context.example(
        record.split, str(question.question_id), task="vqa", images=(image,),
        question=question.question, answers=tuple(question.answers),
        target=most_common(question.answers),
        group=group_name(int(coco[1])) if coco else f"stvqa-{place}",
        meta={"question_id": question.question_id, "dataset": question.dataset},
    )  # fmt: skip


STVQA = Reader(
    name="stvqa",
    task="vqa",
    files=("train_task_3.json", "<collection>/* (or images/<collection>/*)"),
    licence="none declared for the questions; pictures under their collections' terms",
    find=find_questions,
    convert=convert_question,
    page=Page(
        title="ST-VQA, task 3",
        category="image QA",
        use="train",
        url="https://rrc.cvc.uab.es/?ch=11",
        records="train 26,308, test 4,163 (its answers are not public)",
        makes="a question about text in a picture; the most common answer is the target",
    ),
    roles={"train": "train_task_3.json", "test": "test_task_3.json"},
)
