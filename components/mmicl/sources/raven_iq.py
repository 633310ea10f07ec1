"""Raven IQ (Kosmos-1's IQ50): three, four or eight given panels and six candidates.

The release has no written layout; read is the one that public evaluations of it use: a folder
`exp-<n>/` with `query-<k>.png` and `answer-<k>.png`, and `labels.tsv`, whose line n is the right
candidate of puzzle n: a letter from A or a number from 1. Candidates are images that the options
refer to, so that any number of given panels has one form.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from mmicl.errors import DataError
from mmicl.files import hash_file
from mmicl.records import Example
from mmicl.sources.official import Record, RecordError
from mmicl.sources.reader import Page, Reader
from mmicl.sources.reading import ReadContext

LABELS = "labels.tsv"
GIVEN, CANDIDATES = (3, 4, 8), 6
QUESTION = "The images follow a rule. Which image comes next?"
_PUZZLE = re.compile(r".*-(\d+)")


def find_puzzles(context: ReadContext) -> Iterator[Record]:
    """Every puzzle by its number; a record's value is (its folder, its label)."""
    path = context.find(LABELS)
    if path is None:
        return
    context.sources[LABELS] = hash_file(path)
    try:
        labels = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise DataError(f"not UTF-8 ({error})", where=f"{context.dataset}: {LABELS}") from None
    folders = {
        int(match[1]): path.parent
        for path in context.files("**/query-*.png")
        if (match := _PUZZLE.fullmatch(path.parent.name))
    }
    for number, line in enumerate(labels, start=1):
        label = line.partition("\t")[0].strip()
        if not label and number not in folders:
            continue
        folder = folders.pop(number, None)
        yield Record("test", str(number), LABELS, (folder, label))
    for number, folder in sorted(folders.items()):
        error = RecordError("missing_annotation", f"{LABELS} has no line {number}")
        yield Record("test", str(number), context.name(folder), error)


def convert_puzzle(record: Record, context: ReadContext) -> Iterator[Example]:
    """One puzzle: the given panels, then the candidates, which are the options."""
    folder, label = record.value
    if folder is None:
        raise RecordError("missing_image", f"no folder of puzzle {record.id}")
    given, candidates = (_panels(folder, kind) for kind in ("query", "answer"))
    if len(given) not in GIVEN or len(candidates) != CANDIDATES:
        raise RecordError("image_count", f"{len(given)} panels and {len(candidates)} candidates")
    right = "ABCDEF".find(label) if label.isalpha() else int(label) - 1 if label.isdecimal() else -1
    if len(label) != 1 or not 0 <= right < CANDIDATES:
        raise RecordError("malformed", f"label {label!r}")
    images = tuple(context.image(context.name(path)) for path in (*given, *candidates))
    names = [f"panel {place}" for place in range(len(given))]
    names += [f"candidate {place}" for place in range(CANDIDATES)]
    choices = tuple(f"<image:{len(given) + place}>" for place in range(CANDIDATES))
    yield context.example(
        record.split, record.id, task="choice", images=images, question=QUESTION,
        choices=choices, answers=(choices[right],), answer_index=right, target=choices[right],
        group=f"raven-iq-{record.id}", meta={"given": len(given), "image_names": names},
    )  # fmt: skip


def _panels(folder: Path, kind: str) -> list[Path]:
    """The panels of a kind in the order of their numbers."""
    found = [
        (int(match[1]), path)
        for path in folder.glob(f"{kind}-*.png")
        if (match := _PUZZLE.fullmatch(path.stem))
    ]
    return [path for _, path in sorted(found)]


RAVEN_IQ = Reader(
    name="raven_iq",
    task="choice",
    files=(LABELS, "exp-<n>/query-<k>.png", "exp-<n>/answer-<k>.png"),
    licence="none declared; puzzles from IQ test websites",
    find=find_puzzles,
    convert=convert_puzzle,
    page=Page(
        title="Raven IQ (IQ50)",
        category="nonverbal reasoning",
        use="test",
        url="https://aka.ms/kosmos-iq50",
        records="50 puzzles",
        makes="three, four or eight panels and six candidates, each an image of the prompt",
    ),
    roles={"labels": LABELS},
)
