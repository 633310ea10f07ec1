"""Instruction templates: which slots a task has, and what a template must be.

A slot is written as in Python's format strings: `{question}`. `{images}` is the declaration as a
block (`image 0 is <image0>图. image 1 is <image1>图.`), `{images:inline}` the same within a
sentence (`image 0: <image0>图, image 1: <image1>图`).
"""

import re
import string
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from mmicl.errors import DataError
from mmicl.mic.chance import draw
from mmicl.records import PLACEHOLDER, TAGS, Template

RESERVED = re.compile(rf"{PLACEHOLDER}|<image\d+>")
"""What only the scheme may write into a prompt."""
NUMBERED = re.compile(r"\bimages? \d", re.IGNORECASE)
"""A literal number in a template would be wrong as soon as exemplars come before it."""
MAX_LENGTH = 300


@dataclass(frozen=True)
class Task:
    """What a task's templates hold, and how its questions are put.

    Attributes:
        slots: Names that a template must hold exactly once.
        choice: The word that numbers the alternatives: `option 0: …`.
        exemplars: Whether worked examples may precede a query. Not for VCR (released
            project, data_preprocess.py), nor for puzzles of nine images, nor for video, nor
            Winoground and MME, which have no training split. An episode brings its own.
        textual: Whether a question may have no image at all (ScienceQA: half of the problems).
    """

    slots: frozenset[str]
    choice: str = "option"
    exemplars: bool = True
    textual: bool = False


TASKS = {
    "caption": Task(frozenset({"images"})),
    "region": Task(frozenset({"images", "question"})),
    "vqa": Task(frozenset({"images", "question"})),
    "nlvr": Task(frozenset({"images", "question"})),
    "pope": Task(frozenset({"images", "question"})),
    "vcr": Task(frozenset({"images", "question", "choices"}), exemplars=False),
    "winoground": Task(
        frozenset({"images", "question", "choices"}), choice="caption", exemplars=False
    ),
    "raven": Task(frozenset({"images", "question"}), exemplars=False),
    "mme": Task(frozenset({"images", "question"}), exemplars=False),
    "multi": Task(frozenset({"images", "question"})),
    "video": Task(frozenset({"images", "question"}), exemplars=False),
    "scienceqa": Task(frozenset({"images", "question", "choices"}), textual=True),
    "episode": Task(frozenset({"images", "question"}), exemplars=False),
    "choice": Task(frozenset({"images", "question", "choices"})),
    "video_choice": Task(frozenset({"images", "question", "choices"}), exemplars=False),
    "video_caption": Task(frozenset({"images"}), exemplars=False),
    "dialog": Task(frozenset({"images", "question"})),
    "classify": Task(frozenset({"images", "question"})),
}


TEXT_ALONE = "Question: {question} Options: {choices} Answer:"
"""Instead of a template, where there is no image to be declared or looked at."""


def split_slots(text: str) -> list[tuple[str, str | None, str]]:
    """A template as pieces: literal text, then the slot after it (None at the end) and its form.

    Raises:
        ValueError: The braces do not match.
    """
    pieces = []
    for literal, slot, form, conversion in string.Formatter().parse(text):
        if conversion:
            raise ValueError(f"!{conversion} in slot {slot}")
        pieces.append((literal, slot, form or ""))
    return pieces


def find_faults(template: Template) -> list[str]:
    """Everything that is wrong with one template, in plain words; empty where it is sound."""
    if template.task not in TASKS:
        return [f"unknown task {template.task!r}"]
    text, faults = template.text, []
    try:
        pieces = split_slots(text)
    except ValueError as error:
        return [f"braces do not match ({error})"]
    wanted = TASKS[template.task].slots
    slots = [slot for _, slot, _ in pieces if slot is not None]
    faults += [f"slot {{{slot}}} is missing" for slot in sorted(wanted - set(slots))]
    faults += [f"unknown slot {{{slot}}}" for slot in sorted(set(slots) - wanted)]
    faults += [
        f"slot {{{slot}}} stands {slots.count(slot)} times"
        for slot in sorted(wanted)
        if slots.count(slot) > 1
    ]
    faults += [
        f"unknown form {{{slot}:{form}}}"
        for _, slot, form in pieces
        if form and (slot, form) != ("images", "inline")
    ]
    if any(unicodedata.category(sign) in ("Cc", "Cf", "Cs", "Co", "Cn") for sign in text):
        faults.append("control character")
    if RESERVED.search(text):
        faults.append("placeholder or proxy token in the text")
    if any(tag in text for tag in TAGS):
        faults.append("image tag in the text")
    if NUMBERED.search(text):
        faults.append("a literal image number")
    if text != text.strip() or not text:
        faults.append("empty, or blanks at an end")
    if len(text) > MAX_LENGTH:
        faults.append(f"{len(text)} characters, more than {MAX_LENGTH}")
    return faults


def check_bank(templates: Iterable[Template], where: object) -> dict[str, list[Template]]:
    """Check a whole bank and sort it: task -> templates by id.

    Raises:
        DataError: A template is faulty, an id stands twice, a task has a text twice, or there is
            no template at all.
    """
    ids: set[str] = set()
    texts: dict[tuple[str, str], str] = {}
    bank: dict[str, list[Template]] = {}
    for template in sorted(templates, key=lambda item: (item.task, item.id)):
        faults = find_faults(template)
        if template.id in ids:
            faults.append("its id stands twice")
        if (template.task, template.text) in texts:
            faults.append(f"the same text as {texts[template.task, template.text]}")
        if faults:
            raise DataError(f"template {template.id}: {'; '.join(faults)}", where=where)
        ids.add(template.id)
        texts[template.task, template.text] = template.id
        bank.setdefault(template.task, []).append(template)
    if not bank:
        raise DataError("no templates", where=where)
    return bank


def load_bank(path: Path) -> dict[str, list[Template]]:
    """Read an instruction bank (one JSON object a line): task -> templates by id.

    Raises:
        DataError: The file is missing, a line is not a Template, or `check_bank` refuses it.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        raise DataError("no such file", where=path, remedy="run the stage augment") from None
    except UnicodeDecodeError as error:
        raise DataError(f"not UTF-8 ({error})", where=path) from None
    templates = []
    for number, line in enumerate(lines, start=1):
        try:
            templates.append(Template.model_validate_json(line))
        except ValidationError as error:
            problem = error.errors()[0]
            raise DataError(
                f"not a template ({'.'.join(map(str, problem['loc']))} {problem['msg']})",
                where=f"{path.name} line {number}",
            ) from None
    return check_bank(templates, where=path.name)


def pick_template(bank: Mapping[str, list[Template]], task: str, seed: int, name: str) -> Template:
    """The template of a task for the query called `name`, by hash of (seed, name).

    Raises:
        DataError: The bank has none for the task.
    """
    if not bank.get(task):
        raise DataError(f"no template for task {task}", where="instruction bank")
    return bank[task][draw(len(bank[task]), "template", seed, name)]
