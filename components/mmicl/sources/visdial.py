"""VisDial 1.0: a dialogue about a photo, ten rounds, each with a hundred candidate answers.

Official `visdial_1.0_{train,val,test}.json`, where rounds are numbers of two lists of texts. Each
round is a question, whose dialogue so far stands before it; the candidates are its choices, for
the official ranking, though no prompt lists a hundred of them. Where the val split's dense
annotations are there, which are of one round of each dialogue, the relevance of its candidates goes
on for the official NDCG.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import Field

from mmicl.records import Example, Split
from mmicl.sources.coco import group_name, photo_places
from mmicl.sources.official import Official, Record, RecordError, Text, write_plainly
from mmicl.sources.reader import Page, Reader
from mmicl.sources.reading import SPLITS, ReadContext
from mmicl.sources.texts import check_plain

DENSE = "visdial_1.0_val_dense_annotations.json"


class Round(Official):
    """A round; numbers of the file's questions and answers."""

    question: int
    answer: int
    answer_options: list[int] = Field(default_factory=list)
    gt_index: int = -1


class Relevance(Official):
    """An entry of the dense annotations; rounds count from 1."""

    image_id: int
    round_id: int
    gt_relevance: list[float]


class Dialog(Official):
    """A dialogue; its test split has no last answer."""

    image_id: int
    caption: Text
    dialog: list[Round] = Field(min_length=1)


@dataclass(frozen=True)
class Texts:
    """The texts that the rounds of a file number, and (image, round) -> the dense annotation."""

    questions: Sequence[Any]
    answers: Sequence[Any]
    dense: Mapping[tuple[int, int], Any]


def find_dialogs(context: ReadContext) -> Iterator[Record]:
    """Every dialogue; a record's value is (dialogue, the file's texts)."""
    for split in SPLITS:
        path = context.find(f"visdial_1.0_{split}.json")
        if path is None:
            continue
        questions, answers = (
            list(context.stream_section(path, f"data.{key}")) for key in ("questions", "answers")
        )
        rounds: set[tuple[int, int]] = set()
        texts = Texts(questions, answers, _read_dense(context) if split == "val" else {})
        for number, entry in enumerate(context.stream_section(path, "data.dialogs"), start=1):
            own = entry.get("image_id") if isinstance(entry, dict) else None
            identifier = f"record {number}" if own is None else write_plainly(str(own))
            if split == "test" and _is_hidden(entry):
                context.unused["dialogues of test without public answers"] += 1
            else:
                yield Record(split, identifier, context.name(path), (entry, texts))
                rounds.update(_name_rounds(entry))
        if lost := texts.dense.keys() - rounds:
            context.unused["dense annotations without a round"] += len(lost)


def _read_dense(context: ReadContext) -> dict[tuple[int, int], Any]:
    """(image, round) -> its entry; empty without the file.

    An entry that names no round stands under an image -1, which no dialogue has.
    """
    path, found = context.find(DENSE), {}
    for number, record in enumerate(context.read_records(path, "val", "image_id") if path else ()):
        value = record.value if isinstance(record.value, dict) else {}
        image, place = value.get("image_id"), value.get("round_id")
        named = isinstance(image, int) and isinstance(place, int)
        found[(image, place) if named else (-1, number)] = value
    return found


def _name_rounds(entry: Any) -> list[tuple[int, int]]:
    """The rounds of a dialogue as the dense annotations name them; none of a malformed one."""
    image, rounds = (
        (entry.get("image_id"), entry.get("dialog")) if isinstance(entry, dict) else (None, None)
    )
    if not isinstance(image, int) or not isinstance(rounds, list):
        return []
    return [(image, number) for number in range(1, len(rounds) + 1)]


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
        meta: dict[str, Any] = {"image_id": dialog.image_id, "round": number}
        if (dialog.image_id, number) in texts.dense:
            meta["relevance"] = read_relevance(texts.dense[dialog.image_id, number], len(choices))
        yield context.example(
            record.split, f"{dialog.image_id}-{number}", task="dialog", images=(image,),
            question=f"{said} {question}", choices=() if train else choices, answers=(answer,),
            answer_index=-1 if train else right, target=answer, group=group, meta=meta,
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


def read_relevance(entry: Any, candidates: int) -> list[float]:
    """The relevance of a round's candidates, some of it above 0.

    Raises:
        RecordError: It is that of another number of candidates, or none has any.
        ValidationError: The annotation is malformed.
    """
    values = Relevance.model_validate(entry).gt_relevance
    if len(values) != candidates or not any(values):
        detail = f"{len(values)} relevances of {candidates} candidates, not some of them above 0"
        raise RecordError("malformed", detail)
    return values


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
    task="dialog",
    files=(
        "visdial_1.0_{train,val,test}.json",
        f"{DENSE} (if any)",
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
        "val_dense": DENSE,
        "val_images": "VisualDialog_val2018/",
    },
)
