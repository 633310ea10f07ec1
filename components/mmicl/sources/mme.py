"""MME: two yes/no questions about each picture, in fourteen sub-tasks.

Official `<sub-task>/<picture>.txt`, each line a question, a tab, and Yes or No, with the picture
beside it; five sub-tasks keep them apart, in `questions_answers_YN/` and `images/`.
"""

import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Literal

from mmicl.images.decoding import ImageError
from mmicl.records import Example
from mmicl.sources.coco import group_name
from mmicl.sources.official import Official, Record, RecordError, Text, dump_meta
from mmicl.sources.reader import Page, Reader
from mmicl.sources.reading import ReadContext

SUBTASKS = (
    "existence", "count", "position", "color", "posters", "celebrity", "scene", "landmark",
    "artwork", "OCR", "commonsense_reasoning", "numerical_calculation", "text_translation",
    "code_reasoning",
)  # fmt: skip
QUESTIONS, PICTURES = "questions_answers_YN", "images"
SUFFIXES = (".jpg", ".png")


class Question(Official):
    """A line."""

    text: Text
    label: Literal["Yes", "No"]


def find_pictures(context: ReadContext) -> Iterator[Record]:
    """Every text file of every sub-task: one picture with its two questions."""
    for subtask in SUBTASKS:
        folder = context.folder / context.named.get(f"{subtask}/", subtask)
        texts = folder / QUESTIONS if (folder / QUESTIONS).is_dir() else folder
        pictures = folder / PICTURES if (folder / PICTURES).is_dir() else folder
        paths = sorted(texts.glob("*.txt"))
        known = {path.stem for path in paths}
        if extra := sum(
            path.suffix in SUFFIXES and path.stem not in known for path in pictures.glob("*")
        ):
            context.unused["pictures without questions"] += extra
        for path in paths:
            value = _read_text(path, context)
            yield Record("test", f"{subtask}-{path.stem}", context.name(path), value)


def _read_text(path: Path, context: ReadContext) -> str | RecordError:
    try:
        return context.safe_path(context.name(path)).read_text(encoding="utf-8-sig")
    except RecordError as error:
        return error
    except UnicodeDecodeError as error:
        return RecordError("malformed", f"not UTF-8 ({error})")


def convert_picture(record: Record, context: ReadContext) -> Iterator[Example]:
    """Both questions of a picture: the official score needs the two together."""
    subtask, stem = record.id.partition("-")[0], PurePosixPath(record.file).stem
    questions = read_questions(record.value)
    image, name = _store_picture(subtask, stem, context)
    # sub-tasks over COCO's photos ask about the same ones, which other datasets show too
    group = group_name(int(stem)) if re.fullmatch(r"\d{12}", stem) else f"mme-{subtask}-{stem}"
    split = context.split(record.split, group)
    for number, question in enumerate(questions):
        target = question.label.lower()
        yield Example(
            id=f"{context.dataset}/{split}/{record.id}-{number}", dataset=context.dataset,
            split=split, task="mme", images=(image,), question=question.text, answers=(target,),
            target=target, group=group, meta=dump_meta({"subtask": subtask, "image": name}),
        )  # fmt: skip


def read_questions(text: str) -> list[Question]:
    """The two questions of a text file.

    Raises:
        RecordError: There are more or fewer lines, one has no tab, or both ask the same.
        ValidationError: A question is empty or reserved, a label neither Yes nor No.
    """
    lines = [line for line in text.splitlines() if line.strip()]
    if len(lines) != 2:
        raise RecordError("malformed", f"{len(lines)} lines, not 2")
    questions = []
    for number, line in enumerate(lines, start=1):
        asked, tab, label = line.partition("\t")
        if not tab:
            raise RecordError("malformed", f"line {number} has no tab")
        questions.append(Question.model_validate({"text": asked, "label": label.strip()}))
    if questions[0].text == questions[1].text:
        raise RecordError("malformed", "both lines ask the same")
    return questions


def _store_picture(subtask: str, stem: str, context: ReadContext) -> tuple[str, str]:
    """A picture's reference, and its name as results files have it."""
    places = [
        f"{subtask}/{folder}{stem}{suffix}"
        for folder in ("", f"{PICTURES}/")
        for suffix in SUFFIXES
    ]
    path = context.find(*places)
    if path is None:
        raise ImageError("missing_image", "no such picture", where=places[0])
    return context.image(context.name(path)), path.name


MME = Reader(
    name="mme",
    task="mme",
    files=("<sub-task>/<picture>.txt", "<sub-task>/<picture>.{jpg,png} (or images/)"),
    licence="evaluation only, no commercial use (MME); photos of COCO and others",
    find=find_pictures,
    convert=convert_picture,
    page=Page(
        title="MME",
        category="benchmark (14 sub-tasks)",
        use="test",
        url="https://github.com/BradyFU/Awesome-Multimodal-Large-Language-Models",
        records="2,374 questions over 1,187 pictures",
        makes="two yes/no questions about each picture",
    ),
    roles={subtask: f"{subtask}/" for subtask in SUBTASKS},
)
