"""VQA v2: questions and annotations of the official 2014 files, joined by question_id.

The ten answers go on as they are (the official scorer compares with all of them); the target is
the official `multiple_choice_answer`, the most common of the ten.
"""

from collections.abc import Iterator
from typing import Any

from pydantic import ValidationError

from mmicl.records import Example, Split
from mmicl.sources.coco import group_name
from mmicl.sources.reader import Page, Reader
from mmicl.sources.reading import (
    Official,
    ReadContext,
    Record,
    RecordError,
    Text,
    dump_meta,
    explain_invalid,
    refuse_reserved,
    write_plainly,
)

FILES: dict[str, Split] = {
    "train2014": "train", "val2014": "val", "test2015": "test", "test2014": "test",
}  # fmt: skip


class Question(Official):
    """An entry of `questions`."""

    question_id: int
    image_id: int
    question: Text


class Answer(Official):
    """One person's answer."""

    answer: str


class Annotation(Official):
    """An entry of `annotations`."""

    question_id: int
    image_id: int
    question_type: str = ""
    answer_type: str = ""
    multiple_choice_answer: Text
    answers: list[Answer]


def find_questions(context: ReadContext) -> Iterator[Record]:
    """Every question with its annotation; malformed annotations as records of their own."""
    for year, split in FILES.items():
        name = f"v2_OpenEnded_mscoco_{year}_questions.json"
        path = context.find(name, f"Questions/{name}", f"annotations/{name}")
        if path is None:
            continue
        questions = context.read_section(context.read_json(path), "questions", path)
        name = f"v2_mscoco_{year}_annotations.json"
        answers = context.find(name, f"Annotations/{name}", f"annotations/{name}")
        if answers is None:  # the official test answers are not public
            context.unused[f"questions of {year} without public answers"] += len(questions)
            continue
        annotations: dict[int, Annotation] = {}
        table = context.read_json(answers)
        for number, entry in enumerate(context.read_section(table, "annotations", answers), 1):
            try:
                annotation = Annotation.model_validate(entry)
            except ValidationError as error:
                own = f"annotation {_id(entry, number)}"
                yield Record(split, own, context.name(answers), explain_invalid(error))
            else:
                annotations[annotation.question_id] = annotation
        for number, entry in enumerate(questions, 1):
            value = (entry, annotations, year)
            yield Record(split, _id(entry, number), context.name(path), value)


def _id(entry: Any, number: int) -> str:
    """The record's own id, or its place in the file."""
    own = entry.get("question_id") if isinstance(entry, dict) else None
    return f"record {number}" if own is None else write_plainly(str(own))


def convert_question(record: Record, context: ReadContext) -> Iterator[Example]:
    """One question with its picture and ten answers."""
    entry, annotations, year = record.value
    question = Question.model_validate(entry)
    annotation = annotations.get(question.question_id)
    if annotation is None:
        raise RecordError("missing_annotation", "no annotation has this question_id")
    if annotation.image_id != question.image_id:
        raise RecordError("malformed", "question and annotation name different pictures")
    answers = tuple(answer.answer for answer in annotation.answers)
    if not answers:
        raise RecordError("malformed", "no answers")
    refuse_reserved(answers)
    file_name = f"COCO_{year}_{question.image_id:012d}"
    places = [
        f"{folder}{year}/{file_name}.{suffix}"
        for folder in ("", "Images/", "images/")
        for suffix in ("jpg", "png")
    ]
    image = context.image(*places)
    group = group_name(question.image_id)
    split = context.split(record.split, group)
    meta = {
        "question_id": question.question_id, "image_id": question.image_id,
        "question_type": annotation.question_type, "answer_type": annotation.answer_type,
    }  # fmt: skip
    yield Example(
        id=f"{context.dataset}/{split}/{question.question_id}", dataset=context.dataset,
        split=split, task="vqa", images=(image,), question=question.question, answers=answers,
        target=annotation.multiple_choice_answer, group=group, meta=dump_meta(meta),
    )  # fmt: skip


VQAV2 = Reader(
    name="vqav2",
    task="vqa",
    files=(
        "v2_OpenEnded_mscoco_{train,val}2014_questions.json",
        "v2_mscoco_{train,val}2014_annotations.json",
        "{train,val}2014/COCO_{train,val}2014_*.jpg",
    ),
    licence="annotations CC BY 4.0; photos under their Flickr terms",
    find=find_questions,
    convert=convert_question,
    page=Page(
        title="VQA v2",
        category="image QA",
        use="train, test",
        url="https://visualqa.org/download.html",
        records="train 443,757, val 214,354, test 447,793 (its answers are not public)",
        makes="a question about a picture, ten answers; the most common one is the target",
    ),
    roles={
        "train_questions": "v2_OpenEnded_mscoco_train2014_questions.json",
        "train_annotations": "v2_mscoco_train2014_annotations.json",
        "val_questions": "v2_OpenEnded_mscoco_val2014_questions.json",
        "val_annotations": "v2_mscoco_val2014_annotations.json",
        "train_images": "train2014/",
        "val_images": "val2014/",
    },
)
