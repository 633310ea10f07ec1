"""A-OKVQA: questions about COCO photos that need knowledge, four choices and ten direct answers.

Official `aokvqa_v1p0_<split>.json`; the test answers are not public. The prompt lists the choices;
the direct answers go on for the official direct-answer score, with the mark `difficult` of those
questions that it leaves out.
"""

from collections.abc import Iterator

from pydantic import Field

from mmicl.records import Example
from mmicl.sources.coco import group_name, photo_places
from mmicl.sources.json_tables import keep_public
from mmicl.sources.official import Official, Record, Text
from mmicl.sources.reader import Page, Reader
from mmicl.sources.reading import SPLITS, ReadContext
from mmicl.sources.texts import check_choice, refuse_reserved


class Question(Official):
    """An entry."""

    question_id: str
    image_id: int
    question: Text
    choices: list[Text] = Field(min_length=2)
    correct_choice_idx: int
    direct_answers: list[str] = Field(min_length=1)
    difficult_direct_answer: bool = False


def find_questions(context: ReadContext) -> Iterator[Record]:
    """Every question whose answer is public."""
    for split in SPLITS:
        path = context.find(f"aokvqa_v1p0_{split}.json")
        if path:
            records = context.read_records(path, split, "question_id")
            yield from keep_public(context, records, "correct_choice_idx")


def convert_question(record: Record, context: ReadContext) -> Iterator[Example]:
    """One question with its photo and four choices."""
    question = Question.model_validate(record.value)
    right, choices = question.correct_choice_idx, tuple(question.choices)
    check_choice("correct_choice_idx", right, len(choices))
    refuse_reserved(question.direct_answers)
    folders = ("val2017", "train2017") if record.split == "val" else ("train2017", "val2017")
    image = context.image(
        *(place for folder in folders for place in photo_places(folder, question.image_id))
    )
    yield context.example(
        record.split, question.question_id, task="choice", images=(image,),
        question=question.question, choices=choices, answers=tuple(question.direct_answers),
        answer_index=right, target=choices[right], group=group_name(question.image_id),
        meta={
            "question_id": question.question_id, "image_id": question.image_id,
            "difficult": question.difficult_direct_answer,
        },
    )  # fmt: skip


AOKVQA = Reader(
    name="aokvqa",
    task="choice",
    files=("aokvqa_v1p0_{train,val,test}.json", "{train,val}2017/*.jpg (or images/)"),
    licence="Apache-2.0; photos under their Flickr terms",
    find=find_questions,
    convert=convert_question,
    page=Page(
        title="A-OKVQA",
        category="knowledge QA",
        use="test",
        url="https://github.com/allenai/aokvqa",
        records="train 17,056, val 1,145, test 6,702 (its answers are not public)",
        makes="a question about a photo and four choices; ten direct answers beside them",
    ),
    roles={
        "train": "aokvqa_v1p0_train.json",
        "val": "aokvqa_v1p0_val.json",
        "train_images": "train2017/",
        "val_images": "val2017/",
    },
)
