"""VCR: interconnected images, the frame and one crop for each object that is spoken of.

Q -> A asks for the answer, QA -> R gives the right one and asks for the rationale. Official
`{train,val}.jsonl` and `vcr1images/` with a metadata file per picture (boxes in pixels).
A token that is a list of object numbers becomes references to their crops; the released project's
`clip_box` crops every detected box, we crop those mentioned (the others are never referred to).
"""

import re
from collections.abc import Iterator, Sequence

from pydantic import Field

from mmicl.records import Example, crop_reference
from mmicl.sources.boxes import cut_box
from mmicl.sources.official import Official, Record, RecordError, dump_meta
from mmicl.sources.reader import Page, Reader
from mmicl.sources.reading import SPLITS, ReadContext
from mmicl.sources.texts import refuse_reserved

Tokens = list[str | list[int]]
WHY: Tokens = ["Why", "?"]
_JOINED = re.compile(r" (?=[.,;:!?)]|'(?:s|re|ve|ll|d|m|t)\b|n't\b)")
"""Blanks that tokenising put before punctuation and contractions."""


class Question(Official):
    """A line of the annotation files; `test.jsonl` has no answer_label."""

    annot_id: str
    img_id: str
    img_fn: str
    metadata_fn: str
    objects: list[str]
    question: Tokens
    answer_choices: list[Tokens] = Field(min_length=2)
    answer_label: int


class Reasoned(Question):
    """A line with its rationales, which belong to the right answer."""

    rationale_choices: list[Tokens] = Field(min_length=2)
    rationale_label: int


class Metadata(Official):
    """A picture's metadata file; a box is left, top, right, bottom, score."""

    width: int
    height: int
    boxes: list[list[float]]


def find_questions(
    context: ReadContext, labels: Sequence[str] = ("answer_label",)
) -> Iterator[Record]:
    """Every question whose answer is public."""
    for split in SPLITS:
        path = context.find(f"{split}.jsonl", f"vcr1annots/{split}.jsonl")
        if path is None:
            continue
        for record in context.read_records(path, split, "annot_id"):
            if (
                isinstance(record.value, dict)
                and split == "test"
                and not record.value.keys() >= set(labels)
            ):
                context.unused["questions of test.jsonl without public answers"] += 1
            else:
                yield record


def find_rationales(context: ReadContext) -> Iterator[Record]:
    """Every question whose answer and rationale are public."""
    return find_questions(context, ("answer_label", "rationale_label"))


def convert_question(record: Record, context: ReadContext) -> Iterator[Example]:
    """Four answers to a question."""
    question = Question.model_validate(record.value)
    _check_label("answer_label", question.answer_label, question.answer_choices)
    yield _ask(
        record, context, question, [question.question], question.answer_choices,
        question.answer_label,
    )  # fmt: skip


def convert_rationale(record: Record, context: ReadContext) -> Iterator[Example]:
    """A question with its right answer, and four reasons for that."""
    question = Reasoned.model_validate(record.value)
    _check_label("answer_label", question.answer_label, question.answer_choices)
    _check_label("rationale_label", question.rationale_label, question.rationale_choices)
    said = [question.question, question.answer_choices[question.answer_label], WHY]
    yield _ask(
        record, context, question, said, question.rationale_choices, question.rationale_label
    )


def _check_label(name: str, label: int, choices: Sequence[Tokens]) -> None:
    if not 0 <= label < len(choices):
        raise RecordError("malformed", f"{name} {label}")


def _ask(
    record: Record, context: ReadContext, question: Question, said: Sequence[Tokens],
    options: Sequence[Tokens], label: int,
) -> Example:  # fmt: skip
    """The frame and the crops of the objects that what is said and the options speak of."""
    tokens = [*said, *options]
    mentioned = sorted(
        {number for text in tokens for token in text if isinstance(token, list) for number in token}
    )
    if mentioned and not 0 <= mentioned[0] <= mentioned[-1] < len(question.objects):
        raise RecordError("malformed", f"no object {mentioned[-1]} of {len(question.objects)}")
    places = {number: place for place, number in enumerate(mentioned, start=1)}
    written = [write_tokens(text, places) for text in tokens]
    asked, choices = " ".join(written[: len(said)]), written[len(said) :]

    frame = context.image(f"vcr1images/{question.img_fn}")
    boxes = _read_boxes(context, question, context.size(frame))
    crops = [
        crop_reference(frame, cut_box(*boxes[number][:4], size=context.size(frame)))
        for number in mentioned
    ]
    split = context.split(record.split, question.img_id)
    target = choices[label]
    names = ["the picture", *(question.objects[number] for number in mentioned)]
    return Example(
        id=f"{context.dataset}/{split}/{question.annot_id}", dataset=context.dataset, split=split,
        task="vcr", images=(frame, *crops), question=asked, choices=tuple(choices),
        answers=(target,), answer_index=label, target=target,
        group=question.img_id,
        meta=dump_meta({"annot_id": question.annot_id, "image_names": names}),
    )  # fmt: skip


def write_tokens(tokens: Tokens, places: dict[int, int]) -> str:
    """Official tokens as a sentence; objects become `<image:k>`, lists of them are joined.

    Raises:
        RecordError: A word is a reserved token, or there are no words.
    """
    if not tokens:
        raise RecordError("empty_text", "a text without words")
    words = []
    for token in tokens:
        if isinstance(token, str):
            refuse_reserved([token])
            words.append(token)
        else:
            words.append(_join([f"<image:{places[number]}>" for number in token]))
    return _JOINED.sub("", " ".join(" ".join(words).split()))


def _join(names: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def _read_boxes(
    context: ReadContext, question: Question, size: tuple[int, int]
) -> list[list[float]]:
    """The boxes of a picture's metadata, one per object."""
    path = context.locate(f"vcr1images/{question.metadata_fn}")
    if not path.is_file():
        raise RecordError("missing_metadata", question.metadata_fn)
    metadata = Metadata.model_validate_json(path.read_bytes())
    if len(metadata.boxes) != len(question.objects):
        detail = f"{len(metadata.boxes)} boxes for {len(question.objects)} objects"
        raise RecordError("malformed", detail)
    if (metadata.width, metadata.height) != size:
        detail = f"metadata says {metadata.width} x {metadata.height}, the picture is {size}"
        raise RecordError("malformed", detail)
    if any(len(box) < 4 for box in metadata.boxes):
        raise RecordError("malformed", "a box has less than 4 numbers")
    return metadata.boxes


ROLES = {**{split: f"{split}.jsonl" for split in SPLITS}, "images": "vcr1images/"}
VCR = Reader(
    name="vcr",
    task="vcr",
    files=("{train,val}.jsonl", "vcr1images/<movie>/*.jpg", "vcr1images/<movie>/*.json"),
    licence="VCR research licence (visualcommonsense.com); pictures from LSMDC and YouTube",
    find=find_questions,
    convert=convert_question,
    page=Page(
        title="VCR",
        category="visual reasoning",
        use="train",
        url="https://visualcommonsense.com",
        records="train 212,923, val 26,534, test 25,263 (its answers are not public)",
        makes="the frame and a crop for each object that is spoken of; four answers",
    ),
    roles=ROLES,
)
VCR_RATIONALE = Reader(
    name="vcr_rationale",
    task="vcr",
    files=VCR.files,
    licence=VCR.licence,
    find=find_rationales,
    convert=convert_rationale,
    page=Page(
        title="VCR, rationales",
        category="visual reasoning",
        use="train",
        url=VCR.page.url,
        records=VCR.page.records,
        makes=(
            "the frame and a crop for each object that is spoken of; question and right answer, "
            "and four rationales"
        ),
    ),
    roles=ROLES,
)
