"""TextVQA: questions about the text in photos of Open Images.

Official `TextVQA_0.5.1_<split>.json` holds questions and answers in one; the pair of files in
VQA's form that evaluation suites pass around is read too, where the official file is not there.
"""

from collections.abc import Iterator

from pydantic import Field

from mmicl.records import Example
from mmicl.sources.json_tables import keep_public, read_list
from mmicl.sources.official import Official, Record, Text
from mmicl.sources.reader import Page, Reader
from mmicl.sources.reading import SPLITS, ReadContext
from mmicl.sources.texts import refuse_reserved
from mmicl.sources.vqa_form import describe, join_answers, match, most_common, name_pair

FOLDERS = ("train_images/", "test_images/", "images/")


class Question(Official):
    """An entry of the official file's `data`; the test split has no answers."""

    question_id: int
    image_id: str
    question: Text
    answers: list[str] = Field(min_length=1)


def find_questions(context: ReadContext) -> Iterator[Record]:
    """Every question; in VQA's form a record's value is that of `join_answers`."""
    for split in SPLITS:
        path = context.find(f"TextVQA_0.5.1_{split}.json")
        if path is None:
            yield from join_answers(context, [name_pair(split)])
            continue
        records = read_list(context, path, "data", split, "question_id")
        yield from keep_public(context, records, "answers")


def convert_question(record: Record, context: ReadContext) -> Iterator[Example]:
    """One question with its photo and ten answers."""
    if isinstance(record.value, dict):
        official = Question.model_validate(record.value)
        answers = tuple(official.answers)
        refuse_reserved(answers)
        identifier, image_id, asked = official.question_id, official.image_id, official.question
        meta = {"question_id": identifier, "image_id": image_id}
    else:
        question, annotation = match(record)
        answers = annotation.answers
        identifier, image_id, asked = question.question_id, question.image_id, question.question
        meta = describe(question, annotation)
    image = context.image(*(f"{folder}{image_id}.jpg" for folder in FOLDERS))
    yield context.example(
        record.split, str(identifier), task="vqa", images=(image,), question=asked,
        answers=answers, target=most_common(answers), group=f"openimages-{image_id}", meta=meta,
    )  # fmt: skip


TEXTVQA = Reader(
    name="textvqa",
    task="vqa",
    files=("TextVQA_0.5.1_{train,val,test}.json", "train_images/*.jpg (or images/)"),
    licence="CC BY 4.0; photos CC BY 2.0 (Open Images)",
    find=find_questions,
    convert=convert_question,
    page=Page(
        title="TextVQA",
        category="image QA",
        use="train",
        url="https://textvqa.org/dataset",
        records="train 34,602, val 5,000, test 5,734 (its answers are not public)",
        makes="a question about text in a photo, ten answers; the most common one is the target",
    ),
    roles={
        "train": "TextVQA_0.5.1_train.json",
        "val": "TextVQA_0.5.1_val.json",
        "val_questions": "val_questions_vqa_format.json",
        "val_annotations": "val_annotations_vqa_format.json",
        "images": "train_images/",
    },
)
