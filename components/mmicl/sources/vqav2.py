"""VQA v2: questions and annotations of the official 2014 files, joined by question_id.

The ten answers go on as they are (the official scorer compares with all of them); the target is
the official `multiple_choice_answer`, the most common of the ten. With Karpathy's split beside the
files, a question is in its photo's split there, otherwise in its own file's.
"""

from collections.abc import Iterator
from dataclasses import replace

from mmicl.records import Example, Split
from mmicl.sources.coco import KARPATHY, group_name, photo_places, read_karpathy
from mmicl.sources.official import Record, RecordError
from mmicl.sources.reader import Page, Reader
from mmicl.sources.reading import ReadContext
from mmicl.sources.vqa_form import Pair, describe, join_answers, match

FILES: dict[str, Split] = {
    "train2014": "train", "val2014": "val", "test2015": "test", "test2014": "test",
}  # fmt: skip


def find_questions(context: ReadContext) -> Iterator[Record]:
    """Every question with its annotation; malformed annotations as records of their own."""
    pairs = []
    for year, split in FILES.items():
        questions = f"v2_OpenEnded_mscoco_{year}_questions.json"
        annotations = f"v2_mscoco_{year}_annotations.json"
        pairs.append(
            Pair(
                split,
                year,
                (questions, f"Questions/{questions}", f"annotations/{questions}"),
                (annotations, f"Annotations/{annotations}", f"annotations/{annotations}"),
            )
        )
    karpathy = read_karpathy(context)
    for record in join_answers(context, pairs):
        entry = record.value[0] if isinstance(record.value, tuple) else None
        photo = entry.get("image_id") if isinstance(entry, dict) else None
        moved = karpathy.get(photo) if isinstance(photo, int) else None
        yield replace(record, split=moved) if moved else record


def convert_question(record: Record, context: ReadContext) -> Iterator[Example]:
    """One question with its picture and ten answers."""
    question, annotation = match(record)
    if annotation.multiple_choice_answer is None or not isinstance(question.image_id, int):
        raise RecordError(
            "malformed", "no multiple_choice_answer, or an image_id that is no number"
        )
    image = context.image(*photo_places(record.value[2], question.image_id))
    yield context.example(
        record.split, str(question.question_id), task="vqa", images=(image,),
        question=question.question, answers=annotation.answers,
        target=annotation.multiple_choice_answer,
        group=group_name(question.image_id), meta=describe(question, annotation),
    )  # fmt: skip


VQAV2 = Reader(
    name="vqav2",
    task="vqa",
    files=(
        "v2_OpenEnded_mscoco_{train,val}2014_questions.json",
        "v2_mscoco_{train,val}2014_annotations.json",
        "{train,val}2014/COCO_{train,val}2014_*.jpg",
        f"{KARPATHY} (for Karpathy's split)",
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
        "karpathy": KARPATHY,
        "train_images": "train2014/",
        "val_images": "val2014/",
    },
)
