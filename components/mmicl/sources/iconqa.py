"""IconQA: questions about drawn icons, with texts (choose_txt) or pictures (choose_img) to choose.

Official `iconqa/<split>/<kind>/<number>/` with `data.json`, `image.png` and, for choose_img,
`choice_<k>.png`. Pictures to choose from are images of their own, which the options refer to. Where
`pid2skills.json` is there, the skills that a problem asks for go on for the official breakdown.
"""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from pydantic import Field

from mmicl.records import Example
from mmicl.sources.json_tables import read_mapping
from mmicl.sources.official import Official, Record, RecordError, Text
from mmicl.sources.reader import Page, Reader
from mmicl.sources.reading import SPLITS, ReadContext
from mmicl.sources.texts import check_choice, check_plain

ROOTS = ("", "iconqa", "iconqa_data/iconqa")
SKILLS = "pid2skills.json"


class Problem(Official):
    """A `data.json`; the choices of choose_img are names of pictures beside it."""

    question: Text
    choices: list[str] = Field(min_length=2)
    answer: int


def find_texts(context: ReadContext) -> Iterator[Record]:
    """Every question with texts to choose from."""
    return _find(context, "choose_txt")


def find_pictures(context: ReadContext) -> Iterator[Record]:
    """Every question with pictures to choose from."""
    return _find(context, "choose_img")


def _find(context: ReadContext, kind: str) -> Iterator[Record]:
    """Every problem of a kind; its many little files are hashed as one.

    Yields:
        Records whose value is (the problem, all problems' skills or None).
    """
    skills = _read_skills(context)
    for root in ROOTS:
        for split in SPLITS:
            folder = context.folder / root / split / kind
            digest = hashlib.sha256()
            paths = sorted(folder.glob("*/data.json"), key=_number)
            for path in paths:
                value = _read(path, context, digest)
                if not isinstance(value, RecordError):
                    value = (value, skills)
                yield Record(split, path.parent.name, context.name(path), value)
            if paths:
                context.sources[f"{context.name(folder)}/*/data.json"] = digest.hexdigest()


def _read_skills(context: ReadContext) -> dict[str, Any] | None:
    """Problem -> its skills; None without the file.

    Raises:
        DataError: It is no JSON object.
    """
    path = context.find(SKILLS, f"iconqa_data/{SKILLS}")
    return read_mapping(context, path, "skills by problem") if path else None


def _number(path: Path) -> tuple[int, str]:
    """Problems in the order of their numbers."""
    name = path.parent.name
    return (int(name) if name.isdecimal() else -1, name)


def _read(path: Path, context: ReadContext, digest: "hashlib._Hash") -> object:
    try:
        data = context.safe_path(context.name(path)).read_bytes()
        digest.update(data)
        return json.loads(data)
    except RecordError as error:
        return error
    except (ValueError, RecursionError) as error:
        return RecordError("malformed_json", str(error))


def convert_texts(record: Record, context: ReadContext) -> Iterator[Example]:
    """A drawing, a question and texts to choose from."""
    problem = _check(record)
    beside = PurePosixPath(record.file).parent
    image = context.image(f"{beside}/image.png")
    choices = tuple(check_plain(choice) for choice in problem.choices)
    yield _make(record, context, problem, (image,), choices)


def convert_pictures(record: Record, context: ReadContext) -> Iterator[Example]:
    """A drawing, a question and pictures to choose from, which the options name."""
    problem = _check(record)
    beside = PurePosixPath(record.file).parent
    names = ("image.png", *problem.choices)
    images = tuple(context.image(f"{beside}/{name}") for name in names)
    choices = tuple(f"<image:{place}>" for place in range(1, len(images)))
    yield _make(record, context, problem, images, choices)


def _check(record: Record) -> Problem:
    problem = Problem.model_validate(record.value[0])
    check_choice("answer", problem.answer, len(problem.choices))
    return problem


def _make(
    record: Record,
    context: ReadContext,
    problem: Problem,
    images: tuple[str, ...],
    choices: tuple[str, ...],
) -> Example:
    """The Example; drawings that serve several questions tie them into one group."""
    target = choices[problem.answer]
    meta = {"id": record.id, "image_names": name_images(len(images)), **_name_skills(record)}
    return context.example(
        record.split, record.id, task="choice", images=images, question=problem.question,
        choices=choices, answers=(target,), answer_index=problem.answer, target=target,
        group=f"iconqa-{images[0][:16]}", meta=meta,
    )  # fmt: skip


def _name_skills(record: Record) -> dict[str, list[str]]:
    """A problem's skills; nothing where no file names any problem's.

    Raises:
        RecordError: There is such a file, but it has none for this problem.
    """
    skills = record.value[1]
    if skills is None:
        return {}
    own = skills.get(record.id)
    if not isinstance(own, list) or not all(isinstance(one, str) for one in own):
        raise RecordError("malformed", f"{SKILLS} has no list of skills for it")
    return {"skills": own}


def name_images(count: int) -> list[str]:
    """Plain words for the drawing and the pictures to choose from, where images are left out."""
    return ["the drawing", *(f"picture {place}" for place in range(count - 1))]


LICENCE = "CC BY-NC-SA 4.0"
ROLES = {"skills": SKILLS}
ICONQA_TXT = Reader(
    name="iconqa_txt",
    task="choice",
    files=(
        "iconqa/{train,val,test}/choose_txt/<number>/{data.json,image.png}",
        f"{SKILLS} (if any)",
    ),
    licence=LICENCE,
    find=find_texts,
    convert=convert_texts,
    page=Page(
        title="IconQA, texts to choose",
        category="visual reasoning",
        use="test",
        url="https://iconqa.github.io",
        records="train 18,946, val 6,316, test 6,316",
        makes="a drawing, a question and texts to choose from",
    ),
    roles=ROLES,
)
ICONQA_IMG = Reader(
    name="iconqa_img",
    task="choice",
    files=(
        "iconqa/{train,val,test}/choose_img/<number>/{data.json,image.png,choice_<k>.png}",
        f"{SKILLS} (if any)",
    ),
    licence=LICENCE,
    find=find_pictures,
    convert=convert_pictures,
    page=Page(
        title="IconQA, pictures to choose",
        category="visual reasoning",
        use="test",
        url="https://iconqa.github.io",
        records="train 34,603, val 11,535, test 11,535",
        makes="a drawing, a question and pictures to choose from, each an image of the prompt",
    ),
    roles=ROLES,
)
