"""VizWiz-VQA: photos that blind people took, with the question that they asked.

Official `Annotations/<split>.json` is one array; a question is its photo's. The pair of files in
VQA's form that evaluation suites pass around is read too, where the official file is not there.
Most common of the ten answers is the target, `unanswerable` included: saying so is the task.
"""

from collections.abc import Iterator
from pathlib import PurePosixPath

from pydantic import Field

from mmicl.records import Example
from mmicl.sources.json_tables import keep_public
from mmicl.sources.official import Official, Record, Text
from mmicl.sources.reader import Page, Reader
from mmicl.sources.reading import SPLITS, ReadContext
from mmicl.sources.texts import refuse_reserved
from mmicl.sources.vqa_form import Answer, describe, join_answers, match, most_common, name_pair


class Question(Official):
    """An entry of the official array; the test split has the photo and the question alone."""

    image: str
    question: Text
    answers: list[Answer] = Field(min_length=1)
    answer_type: str = ""
    answerable: int = 1


def find_questions(context: ReadContext) -> Iterator[Record]:
    """Every question; in VQA's form a record's value is that of `join_answers`."""
    for split in SPLITS:
        path = context.find(f"Annotations/{split}.json", f"{split}.json")
        if path is None:
            yield from join_answers(context, [name_pair(split)])
            continue
        yield from keep_public(context, context.read_records(path, split, "image"), "answers")


def convert_question(record: Record, context: ReadContext) -> Iterator[Example]:
    """One question with its photo and ten answers."""
    if isinstance(record.value, dict):
        official = Question.model_validate(record.value)
        answers = tuple(answer.answer for answer in official.answers)
        refuse_reserved(answers)
        name, asked = official.image, official.question
        own = PurePosixPath(name).stem
        meta = {
            "image_id": name, "answer_type": official.answer_type,
            "answerable": official.answerable,
        }  # fmt: skip
    else:
        question, annotation = match(record)
        answers = annotation.answers
        name, asked = str(question.image_id), question.question
        own, meta = str(question.question_id), describe(question, annotation)
    image = context.image(
        f"{record.split}/{name}", f"Images/{record.split}/{name}", f"images/{name}"
    )
    yield context.example(
        record.split, own, task="vqa", images=(image,), question=asked, answers=answers,
        target=most_common(answers), group=f"vizwiz-{PurePosixPath(name).stem}", meta=meta,
    )  # fmt: skip


VIZWIZ = Reader(
    name="vizwiz",
    task="vqa",
    files=("Annotations/{train,val,test}.json", "{train,val}/VizWiz_*.jpg (or images/)"),
    licence="CC BY 4.0",
    find=find_questions,
    convert=convert_question,
    page=Page(
        title="VizWiz-VQA",
        category="image QA",
        use="test",
        url="https://vizwiz.org/tasks-and-datasets/vqa",
        records="train 20,523, val 4,319, test 8,000 (its answers are not public)",
        makes="a blind person's photo and question, ten answers; the most common is the target",
    ),
    roles={
        "train": "Annotations/train.json",
        "val": "Annotations/val.json",
        "val_questions": "val_questions_vqa_format.json",
        "val_annotations": "val_annotations_vqa_format.json",
        "train_images": "train/",
        "val_images": "val/",
    },
)
