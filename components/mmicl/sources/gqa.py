"""GQA, the balanced questions: composed questions about scenes.

Official `{train,val,testdev}_balanced_questions.json`, objects of questions by id. The target is
the short answer, which the official score compares; the full sentence stays in the meta.

Two more files serve the official score of val and testdev, where they are there. Of
`<split>_all_questions.json` those questions are read that balanced ones entail; `balanced` is false
in their meta. `<split>_choices.json` has the valid and the plausible answers of each question.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from mmicl.records import Example, Split
from mmicl.sources.json_tables import read_mapping, read_object
from mmicl.sources.official import Official, Record, RecordError, Text
from mmicl.sources.reader import Page, Reader
from mmicl.sources.reading import ReadContext

FILES: dict[str, Split] = {"train": "train", "val": "val", "testdev": "test"}
SCORED = ("val", "testdev")


class Types(Official):
    """What kind of question it is, for the breakdown of the official score."""

    structural: str = ""
    semantic: str = ""
    detailed: str = ""


class Question(Official):
    """A question."""

    imageId: str
    question: Text
    answer: Text
    fullAnswer: str = ""
    types: Types = Types()
    isBalanced: bool = True
    entailed: list[str] | None = None


class Choices(Official):
    """What an answer to a question may be."""

    valid: list[str]
    plausible: list[str]


def find_questions(context: ReadContext) -> Iterator[Record]:
    """Every question of train, val and testdev, whose answers are public.

    Yields:
        Records whose value is (the question, its split's choices or None).
    """
    for name, split in FILES.items():
        path = _find(context, f"{name}_balanced_questions.json")
        if path is None:
            continue
        choices = _read_choices(context, name) if name in SCORED else None
        known, entailed = set[str](), set[str]()
        for record in read_object(context, path, split):
            known.add(record.id)
            entailed.update(_list_entailed(record.value))
            yield _join(record, choices)
        if name in SCORED:
            yield from _find_entailed(context, name, split, entailed - known)


def _find(context: ReadContext, file: str) -> Path | None:
    folders = ("", "questions/", "questions1.2/", "eval/")
    return context.find(*(f"{folder}{file}" for folder in folders))


def _list_entailed(entry: Any) -> list[str]:
    """The questions that one entails; none of a malformed entry, which is rejected itself."""
    entailed = entry.get("entailed") if isinstance(entry, dict) else None
    return [key for key in entailed if isinstance(key, str)] if isinstance(entailed, list) else []


def _find_entailed(
    context: ReadContext, name: str, split: Split, wanted: set[str]
) -> Iterator[Record]:
    """The wanted questions, from the file of all questions, where it is there."""
    path = _find(context, f"{name}_all_questions.json")
    if path is None:
        return
    for record in read_object(context, path, split):
        if record.id in wanted:
            wanted.remove(record.id)
            yield _join(record, None)
    if wanted:
        context.unused[f"entailed questions that {name}_all_questions.json lacks"] += len(wanted)


def _join(record: Record, choices: Mapping[str, Any] | None) -> Record:
    return (
        record
        if isinstance(record.value, RecordError)
        else replace(record, value=(record.value, choices))
    )


def _read_choices(context: ReadContext, name: str) -> Mapping[str, Any] | None:
    """Question -> what may be answered; None without the file.

    Raises:
        DataError: It is no JSON object.
    """
    path = _find(context, f"{name}_choices.json")
    return read_mapping(context, path, "choices by question") if path else None


def convert_question(record: Record, context: ReadContext) -> Iterator[Example]:
    """One question with its picture."""
    entry, choices = record.value
    question = Question.model_validate(entry)
    image = context.image(f"images/{question.imageId}.jpg", f"{question.imageId}.jpg")
    meta = {
        "question_id": record.id, "image_id": question.imageId,
        "full_answer": question.fullAnswer, "structural": question.types.structural,
        "semantic": question.types.semantic, "detailed": question.types.detailed,
        "balanced": question.isBalanced,
    }  # fmt: skip
    if record.split != "train":
        meta["entailed"] = question.entailed
    if choices is not None:
        if record.id not in choices:
            raise RecordError("malformed", "the file of choices has none for it")
        meta |= Choices.model_validate(choices[record.id]).model_dump()
    yield context.example(
        record.split, record.id, task="vqa", images=(image,), question=question.question,
        answers=(question.answer,), target=question.answer, group=f"vg-{question.imageId}",
        meta=meta,
    )  # fmt: skip


GQA = Reader(
    name="gqa",
    task="vqa",
    files=(
        "{train,val,testdev}_balanced_questions.json",
        "images/*.jpg",
        "{val,testdev}_all_questions.json (if any)",
        "{val,testdev}_choices.json (if any)",
    ),
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
        **{
            f"{name}_{part}": f"{name}_{file}.json"
            for name in SCORED
            for part, file in (("all", "all_questions"), ("choices", "choices"))
        },
        "images": "images/",
    },
)
