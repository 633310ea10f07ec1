"""VisDial 1.0: a dialogue about a photo, ten rounds, each with a hundred candidate answers.

Official `visdial_1.0_{train,val,test}.json`, where rounds are numbers of two lists of texts. Each
round is a question, whose dialogue so far stands before it; the candidates are its choices, for
the official ranking, though no prompt lists a hundred of them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import Field

from mmicl.records import Example, Split
from mmicl.sources.coco import group_name, photo_places
from mmicl.sources.reader import Page, Reader
from mmicl.sources.reading import (
    SPLITS,
    Official,
    ReadContext,
    Record,
    RecordError,
    Text,
    check_plain,
    write_plainly,
)


class Round(Official):
    """A round; numbers of the file's questions and answers."""

    question: int
    answer: int
    answer_options: list[int] = Field(default_factory=list)
    gt_index: int = -1


class Dialog(Official):
    """A dialogue; its test split has no last answer."""

    image_id: int
    caption: Text
    dialog: list[Round] = Field(min_length=1)


@dataclass(frozen=True)
class Texts:
    """The texts that the rounds of a file number."""

    questions: Sequence[Any]
    answers: Sequence[Any]


def find_dialogs(context: ReadContext) -> Iterator[Record]:
    """Every dialogue; a record's value is (dialogue, the file's texts)."""
    for split in SPLITS:
        path = context.find(f"visdial_1.0_{split}.json")
        if path is None:
            continue
        table = context.read_json(path)
        data = table.get("data") if isinstance(table, dict) else None
        texts = Texts(*(context.read_section(data, key, path) for key in ("questions", "answers")))
        for number, entry in enumerate(context.read_section(data, "dialogs", path), start=1):
            own = entry.get("image_id") if isinstance(entry, dict) else None
            identifier = f"record {number}" if own is None else write_plainly(str(own))
            if split == "test" and _is_hidden(entry):
                context.unused["dialogues of test without public answers"] += 1
            else:
                yield Record(split, identifier, context.name(path), (entry, texts))


def _is_hidden(entry: Any) -> bool:
    """Whether a dialogue ends with a question."""
    rounds = entry.get("dialog") if isinstance(entry, dict) else None
    last = rounds[-1] if isinstance(rounds, list) and rounds else None
    return isinstance(last, dict) and "answer" not in last


def convert_dialog(record: Record, context: ReadContext) -> Iterator[Example]:
    """One question a round, after the caption and the rounds before it."""
    entry, texts = record.value
    dialog = Dialog.model_validate(entry)
    image = context.image(*places(record.split, dialog.image_id))
    train = record.split == "train"
    group = group_name(dialog.image_id) if train else f"visdial-{dialog.image_id}"
    said = dialog.caption if dialog.caption.endswith(".") else f"{dialog.caption}."
    for number, one in enumerate(dialog.dialog, start=1):
        asked = _pick(texts.questions, one.question)
        answer = _pick(texts.answers, one.answer)
        question = asked if asked.endswith("?") else f"{asked}?"
        choices, right = read_options(one, texts)
        yield context.example(
            record.split, f"{dialog.image_id}-{number}", task="vqa", images=(image,),
            question=f"{said} {question}", choices=() if train else choices, answers=(answer,),
            answer_index=-1 if train else right, target=answer, group=group,
            meta={"image_id": dialog.image_id, "round": number},
        )  # fmt: skip
        said = f"{said} {question} {answer}."


def read_options(one: Round, texts: Texts) -> tuple[tuple[str, ...], int]:
    """The candidate answers of a round and the number of the right one.

    Raises:
        RecordError: A number is out of range, or gt_index is not that of the answer.
    """
    numbers = one.answer_options
    if not numbers:
        return (), -1
    if not 0 <= one.gt_index < len(numbers) or numbers[one.gt_index] != one.answer:
        raise RecordError("malformed", f"gt_index {one.gt_index} is not that of the answer")
    return tuple(_pick(texts.answers, number) for number in numbers), one.gt_index


def _pick(texts: Sequence[Any], number: int) -> str:
    if not 0 <= number < len(texts) or not isinstance(texts[number], str):
        raise RecordError("malformed", f"no text {number} among {len(texts)}")
    return check_plain(texts[number])


def places(split: Split, image_id: int) -> list[str]:
    """Where a photo may lie: COCO's own in train, VisDial's new ones elsewhere."""
    if split == "train":
        return [*photo_places("train2014", image_id), *photo_places("val2014", image_id)]
    folder = "VisualDialog_val2018" if split == "val" else "VisualDialog_test2018"
    name = f"{folder}_{image_id:012d}.jpg"
    return [f"{folder}/{name}", f"images/{name}"]


VISDIAL = Reader(
    name="visdial",
    task="vqa",
    files=(
        "visdial_1.0_{train,val,test}.json",
        "VisualDialog_{val,test}2018/*.jpg",
        "{train,val}2014/*.jpg",
    ),
    licence="CC BY 4.0; photos under their Flickr terms",
    find=find_dialogs,
    convert=convert_dialog,
    page=Page(
        title="VisDial 1.0",
        category="visual dialog",
        use="test",
        url="https://visualdialog.org/data",
        records="train 123,287 dialogues of ten rounds, val 2,064, test 8,000 (not public)",
        makes="a question a round, after the caption and the rounds before; 100 candidates",
    ),
    roles={
        "train": "visdial_1.0_train.json",
        "val": "visdial_1.0_val.json",
        "val_images": "VisualDialog_val2018/",
    },
)
