"""Mantis: several pictures and a text that names them by number, as conversations or questions.

`train.json` and `val.json` have Mantis-Instruct's form, `test.json` Mantis-Eval's. A text counts
its pictures from 1 ("image 2"); that becomes `<image:1>`, which the context scheme numbers.
Multiple-choice questions of Mantis-Eval are answered by a letter, for which the task has no form.
"""

import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Literal

from pydantic import AliasChoices, Field

from mmicl.records import Example
from mmicl.sources.official import Official, Record, RecordError, dump_meta
from mmicl.sources.reader import Page, Reader
from mmicl.sources.reading import SPLITS, ReadContext
from mmicl.sources.texts import refuse_reserved

IMAGE_TOKEN = "<image>"  # noqa: S105 - of a prompt
_NUMBER = re.compile(r"\b[Ii]mage (\d+)\b")
_SEVERAL = re.compile(r"\b[Ii]mages \d")


class Turn(Official):
    """One turn of a conversation, under either of two pairs of names."""

    speaker: Literal["human", "user", "gpt", "assistant"] = Field(
        validation_alias=AliasChoices("from", "role")
    )
    text: str = Field(validation_alias=AliasChoices("value", "content"))


class Conversation(Official):
    """A record of Mantis-Instruct."""

    id: str
    images: list[str] = Field(min_length=1)
    turns: list[Turn] = Field(
        min_length=2, validation_alias=AliasChoices("conversations", "conversation")
    )
    category: str = ""


class Question(Official):
    """A record of Mantis-Eval."""

    id: str
    images: list[str] = Field(min_length=1)
    question_type: str
    question: str
    answer: str
    category: str = ""


def find_records(context: ReadContext) -> Iterator[Record]:
    """Every record of train, val and test."""
    for split in SPLITS:
        path = context.find(f"{split}.json", f"data/{split}.json")
        if path:
            yield from context.read_records(path, split, "id")


def convert_record(record: Record, context: ReadContext) -> Iterator[Example]:
    """One question about several pictures."""
    if "question" in record.value:
        official = Question.model_validate(record.value)
        if official.question_type != "short-answer":
            raise RecordError("unsupported_question_type", official.question_type)
        asked, answer = official.question, official.answer
    else:
        official = Conversation.model_validate(record.value)
        asked, answer = join_turns(official.turns)
    tokens = asked.count(IMAGE_TOKEN)
    if tokens != len(official.images):
        detail = f"{tokens} {IMAGE_TOKEN} for {len(official.images)} pictures"
        raise RecordError("image_count", detail)
    question = refer(asked.replace(IMAGE_TOKEN, " "), tokens)
    target = refer(answer, tokens)
    beside = PurePosixPath(record.file).parent
    images = tuple(context.image(str(beside / name)) for name in official.images)
    group = name_group(official.id)
    split = context.split(record.split, group)
    yield Example(
        id=f"{context.dataset}/{split}/{official.id}", dataset=context.dataset, split=split,
        task="multi", images=images, question=question, answers=(target,), target=target,
        group=group, meta=dump_meta({"id": official.id, "category": official.category}),
    )  # fmt: skip


def join_turns(turns: list[Turn]) -> tuple[str, str]:
    """The last answer, and all that was said before it.

    Raises:
        RecordError: Questions and answers do not alternate, or the last is no answer.
    """
    asking = [turn.speaker in ("human", "user") for turn in turns]
    if asking != [place % 2 == 0 for place in range(len(turns))] or asking[-1]:
        raise RecordError("malformed", "turns are not question and answer by turns")
    *before, last = turns
    return " ".join(turn.text for turn in before), last.text


def refer(text: str, count: int) -> str:
    """Turn `image 2` into `<image:1>`; white space is collapsed.

    Raises:
        RecordError: The text is empty, holds a reserved token, names a picture that is not there,
            or several by one word, whose numbers would be wrong after worked examples.
    """
    refuse_reserved([text])
    text = " ".join(text.split())
    if not text:
        raise RecordError("empty_text", "is empty")
    if _SEVERAL.search(text):
        raise RecordError("unsupported_reference", f"{text!r} numbers several images at once")
    if any(not 1 <= int(number) <= count for number in _NUMBER.findall(text)):
        raise RecordError("unknown_picture", f"{text!r} with {count} pictures")
    return _NUMBER.sub(lambda match: f"<image:{int(match[1]) - 1}>", text)


def name_group(identifier: str) -> str:
    """What records of one set share: `test-7` of `test-7-0`; others stand alone."""
    head, _, _ = identifier.rpartition("-")
    return head if "-" in head else identifier


MANTIS = Reader(
    name="mantis",
    task="multi",
    files=("{train,val}.json", "test.json", "pictures under the paths that they name"),
    licence="Apache-2.0; pictures under the terms of the sets that they are from",
    find=find_records,
    convert=convert_record,
    page=Page(
        title="Mantis-Instruct and Mantis-Eval",
        category="several images (ours)",
        use="train, test",
        url="https://github.com/TIGER-AI-Lab/Mantis",
        records="Mantis-Instruct 721,000, Mantis-Eval 217",
        makes="several pictures and a conversation that counts them; the last answer is the target",
    ),
    roles={"train": "train.json", "val": "val.json", "test": "test.json"},
)
