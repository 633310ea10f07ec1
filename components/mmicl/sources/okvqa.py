"""OK-VQA: questions about COCO photos that need outside knowledge, in VQA's form.

Ten answers a question (five people, stemmed and counted twice); the target is the most common.
"""

from collections.abc import Iterator

from mmicl.records import Example, Split
from mmicl.sources.coco import group_name, photo_places
from mmicl.sources.official import Record, RecordError
from mmicl.sources.reader import Page, Reader
from mmicl.sources.reading import ReadContext
from mmicl.sources.vqa_form import Pair, describe, join_answers, match, most_common

FILES: dict[str, Split] = {"train2014": "train", "val2014": "val"}


def find_questions(context: ReadContext) -> Iterator[Record]:
    """Every question with its annotation."""
    pairs = [
        Pair(
            split,
            year,
            (f"OpenEnded_mscoco_{year}_questions.json",),
            (f"mscoco_{year}_annotations.json",),
        )
        for year, split in FILES.items()
    ]
    return join_answers(context, pairs)


def convert_question(record: Record, context: ReadContext) -> Iterator[Example]:
    """One question with its photo."""
    question, annotation = match(record)
    if not isinstance(question.image_id, int):
        raise RecordError("malformed", f"image_id {question.image_id!r} is no number")
    image = context.image(*photo_places(record.value[2], question.image_id))
    yield context.example(
        record.split, str(question.question_id), task="vqa", images=(image,),
        question=question.question, answers=annotation.answers,
        target=most_common(annotation.answers),
        group=group_name(question.image_id), meta=describe(question, annotation),
    )  # fmt: skip


OKVQA = Reader(
    name="okvqa",
    task="vqa",
    files=(
        "OpenEnded_mscoco_{train,val}2014_questions.json",
        "mscoco_{train,val}2014_annotations.json",
        "{train,val}2014/COCO_{train,val}2014_*.jpg",
    ),
    licence="CC BY 4.0; photos under their Flickr terms",
    find=find_questions,
    convert=convert_question,
    page=Page(
        title="OK-VQA",
        category="knowledge QA",
        use="train",
        url="https://okvqa.allenai.org",
        records="train 9,009, val 5,046",
        makes="a question about a photo, ten answers; the most common one is the target",
    ),
    roles={
        "train_questions": "OpenEnded_mscoco_train2014_questions.json",
        "train_annotations": "mscoco_train2014_annotations.json",
        "val_questions": "OpenEnded_mscoco_val2014_questions.json",
        "val_annotations": "mscoco_val2014_annotations.json",
        "train_images": "train2014/",
        "val_images": "val2014/",
    },
)
