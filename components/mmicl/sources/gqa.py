"""GQA, the balanced questions: composed questions about scenes.

Official `{train,val,testdev}_balanced_questions.json`, objects of questions by id. The target is
the short answer, which the official score compares; the full sentence stays in the meta.
"""

from collections.abc import Iterator

from mmicl.records import Example, Split
from mmicl.sources.json_tables import read_object
from mmicl.sources.reader import Page, Reader
from mmicl.sources.reading import Official, ReadContext, Record, Text

FILES: dict[str, Split] = {"train": "train", "val": "val", "testdev": "test"}


class Types(Official):
    """What kind of question it is, for the breakdown of the official score."""

    structural: str = ""
    semantic: str = ""


class Question(Official):
    """A question."""

    imageId: str
    question: Text
    answer: Text
    fullAnswer: str = ""
    types: Types = Types()


def find_questions(context: ReadContext) -> Iterator[Record]:
    """Every question of train, val and testdev, whose answers are public."""
    for name, split in FILES.items():
        file = f"{name}_balanced_questions.json"
        if path := context.find(file, f"questions/{file}", f"questions1.2/{file}"):
            yield from read_object(context, path, split)


def convert_question(record: Record, context: ReadContext) -> Iterator[Example]:
    """One question with its picture."""
    question = Question.model_validate(record.value)
    image = context.image(f"images/{question.imageId}.jpg", f"{question.imageId}.jpg")
    meta = {
        "question_id": record.id, "image_id": question.imageId,
        "full_answer": question.fullAnswer, "structural": question.types.structural,
        "semantic": question.types.semantic,
    }  # fmt: skip
    yield context.example(
        record.split, record.id, task="vqa", images=(image,), question=question.question,
        answers=(question.answer,), target=question.answer, group=f"vg-{question.imageId}",
        meta=meta,
    )  # fmt: skip


GQA = Reader(
    name="gqa",
    task="vqa",
    files=("{train,val,testdev}_balanced_questions.json", "images/*.jpg"),
    licence="CC BY 4.0; pictures of Visual Genome under their Flickr terms",
    find=find_questions,
    convert=convert_question,
    page=Page(
        title="GQA, balanced",
        category="visual reasoning",
        use="train",
        url="https://cs.stanford.edu/people/dorarad/gqa/download.html",
        records="train 943,000, val 132,062, testdev 12,578",
        makes="a question about a picture and its short answer",
    ),
    roles={
        "train": "train_balanced_questions.json",
        "val": "val_balanced_questions.json",
        "testdev": "testdev_balanced_questions.json",
        "images": "images/",
    },
)
