"""The VQA challenge's form, which OK-VQA, TextVQA and VizWiz share: questions and annotations.

Two files of one split are joined by question_id. All annotated answers go on as they are, since
the official scorer compares with each of them.
"""

import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from mmicl.records import Split
from mmicl.sources.official import (
    Official,
    Record,
    RecordError,
    Text,
    explain_invalid,
    write_plainly,
)
from mmicl.sources.reading import ReadContext
from mmicl.sources.texts import refuse_reserved


class Question(Official):
    """An entry of `questions`."""

    question_id: int
    image_id: int | str
    question: Text


class Answer(Official):
    """One person's answer."""

    answer: str


class Annotation(Official):
    """An entry of `annotations`."""

    question_id: int
    image_id: int | str
    question_type: str = ""
    answer_type: str = ""
    multiple_choice_answer: Text | None = None
    answers: list[Answer]


class Answered(NamedTuple):
    """What is kept of an annotation: VQAv2 has 443,757 for training, with ten answers each."""

    image_id: int | str
    question_type: str
    answer_type: str
    multiple_choice_answer: str | None
    answers: tuple[str, ...]


def keep(annotation: Annotation) -> Answered:
    """Equal texts are kept once: most of the answers of a question are."""
    best = annotation.multiple_choice_answer
    return Answered(
        annotation.image_id,
        sys.intern(annotation.question_type),
        sys.intern(annotation.answer_type),
        None if best is None else sys.intern(best),
        tuple(sys.intern(answer.answer) for answer in annotation.answers),
    )


@dataclass(frozen=True)
class Pair:
    """The two files of one split, each by the places it may lie at; `name` is the split's own."""

    split: Split
    name: str
    questions: tuple[str, ...]
    annotations: tuple[str, ...]


def name_pair(split: Split) -> Pair:
    """The files of datasets that were put into VQA's form afterwards (open_flamingo's names)."""
    questions, annotations = (
        (f"{split}_{part}_vqa_format.json",) for part in ("questions", "annotations")
    )
    return Pair(split, split, questions, annotations)


def join_answers(context: ReadContext, pairs: Sequence[Pair]) -> Iterator[Record]:
    """Every question with its annotation.

    Questions of a test split without an annotations file are counted as not public; those of
    another split are rejected one by one, since they were meant to have one.

    Yields:
        Records whose value is (question, annotations by question_id, the pair's name), and one
        for each annotation that is malformed or the second of its question.
    """
    for pair in pairs:
        path = context.find(*pair.questions)
        if path is None:
            continue
        answers = context.find(*pair.annotations)
        if answers is None and pair.split == "test":
            hidden = sum(1 for _ in context.stream_section(path, "questions"))
            context.unused[f"questions of {pair.name} without public answers"] += hidden
            continue
        annotations: dict[int, Answered] = {}
        if answers is not None:
            yield from _read_annotations(context, pair, answers, annotations)
        unasked = set(annotations)
        for number, entry in enumerate(context.stream_section(path, "questions"), start=1):
            value: Any = (entry, annotations, pair.name)
            if answers is None:
                value = RecordError("missing_annotation", f"there is no {pair.annotations[0]}")
            yield Record(pair.split, _id(entry, number), context.name(path), value)
            if isinstance(entry, dict):
                unasked.discard(entry.get("question_id", -1))
        if unasked:
            context.unused[f"annotations of {pair.name} without a question"] += len(unasked)


def _read_annotations(
    context: ReadContext, pair: Pair, path: Path, annotations: dict[int, Answered]
) -> Iterator[Record]:
    """Fill `annotations`; a Record for each that cannot be used."""
    file = context.name(path)
    for number, entry in enumerate(context.stream_section(path, "annotations"), start=1):
        try:
            annotation = Annotation.model_validate(entry)
        except ValidationError as error:
            own = f"annotation {_id(entry, number)}"
            yield Record(pair.split, own, file, explain_invalid(error))
            continue
        if annotation.question_id in annotations:
            error = RecordError("duplicate_id", "an earlier annotation has the same question_id")
            yield Record(pair.split, f"annotation {annotation.question_id}", file, error)
        else:
            annotations[annotation.question_id] = keep(annotation)


def _id(entry: Any, number: int) -> str:
    """The record's own id, or its place in the file."""
    own = entry.get("question_id") if isinstance(entry, dict) else None
    return f"record {number}" if own is None else write_plainly(str(own))


def match(record: Record) -> tuple[Question, Answered]:
    """A question and its annotation, with all annotated answers.

    Raises:
        RecordError: There is no annotation, it is of another picture, or has no answers or
            reserved ones.
        ValidationError: The question is malformed.
    """
    entry, annotations, _ = record.value
    question = Question.model_validate(entry)
    annotation = annotations.get(question.question_id)
    if annotation is None:
        raise RecordError("missing_annotation", "no annotation has this question_id")
    if annotation.image_id != question.image_id:
        raise RecordError("malformed", "question and annotation name different pictures")
    if not annotation.answers:
        raise RecordError("malformed", "no answers")
    refuse_reserved(annotation.answers)
    return question, annotation


def most_common(answers: Sequence[str]) -> str:
    """The answer that most people gave, the first of equals; white space is collapsed.

    Raises:
        RecordError: All are empty.
    """
    said = [text for answer in answers if (text := " ".join(answer.split()))]
    if not said:
        raise RecordError("empty_text", "all answers are empty")
    return Counter(said).most_common(1)[0][0]


def describe(question: Question, annotation: Answered) -> dict[str, Any]:
    """What the official scorer wants to know of a question, for an Example's `meta`."""
    return {
        "question_id": question.question_id, "image_id": question.image_id,
        "question_type": annotation.question_type, "answer_type": annotation.answer_type,
    }  # fmt: skip
