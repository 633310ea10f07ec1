"""ScienceQA: multiple choice, with a hint before the question or none.

One reader takes the problems with a picture, the other one all.

Official `problems.json` (pid -> problem, its split among the fields) and
`images/<split>/<pid>/image.png`. Lectures and solutions are not read: they give the answer away.
Where `language_bias.json` is there, `{"needs_image": [pid], "needs_no_image": [pid]}`, it says
which problems' pictures are needed, for the gap of language bias.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any, get_args

from pydantic import Field

from mmicl.errors import DataError
from mmicl.records import Example, Split
from mmicl.sources.json_tables import read_mapping
from mmicl.sources.official import Official, Record, RecordError, Text, dump_meta, write_plainly
from mmicl.sources.reader import Page, Reader
from mmicl.sources.reading import ReadContext
from mmicl.sources.texts import check_choice, refuse_reserved

FILE = "problems.json"
BIAS = "language_bias.json"


class Problem(Official):
    """A problem; `hint` is empty where there is none."""

    question: Text
    choices: list[Text] = Field(min_length=2)
    answer: int
    hint: str
    image: str | None
    grade: str
    subject: str
    topic: str
    needs_image: bool | None = None
    """Of language_bias.json."""


def find_problems(context: ReadContext, *, textual: bool = False) -> Iterator[Record]:
    """Every problem that has a picture, and if `textual` those that have none.

    Raises:
        DataError: problems.json or language_bias.json is not what it should be.
    """
    path = context.find(FILE, f"data/scienceqa/{FILE}")
    if path is None:
        return
    problems, file = read_mapping(context, path, "problems"), context.name(path)
    needs = _read_needs(context, problems)
    for key, value in problems.items():
        pid = write_plainly(key)
        if not isinstance(value, dict):
            yield Record("train", pid, file, RecordError("malformed", "not a JSON object"))
        elif value.get("split") not in get_args(Split):
            error = RecordError("malformed", f"split {value.get('split')!r}")
            yield Record("train", pid, file, error)
        elif "image" in value and not value["image"] and not textual:
            context.unused["problems without a picture"] += 1
        else:
            yield Record(value["split"], pid, file, {**value, "needs_image": needs.get(key)})


def find_all(context: ReadContext) -> Iterator[Record]:
    """Every problem."""
    return find_problems(context, textual=True)


def _read_needs(context: ReadContext, problems: Mapping[str, Any]) -> dict[str, bool]:
    """Whether its picture is needed, by problem; empty without the file.

    Raises:
        DataError: The file is not two lists of problems, or names one twice or an unknown one.
    """
    path = context.find(BIAS, f"data/scienceqa/{BIAS}")
    if path is None:
        return {}
    split, where = read_mapping(context, path, "problems"), f"{context.dataset}: {BIAS}"
    needs: dict[str, bool] = {}
    for key, needed in {"needs_image": True, "needs_no_image": False}.items():
        if not isinstance(split.get(key), list):
            raise DataError(f"has no list {key}", where=where)
        for pid in map(str, split[key]):
            if pid not in problems or pid in needs:
                fault = "is named twice" if pid in needs else f"is not in {FILE}"
                raise DataError(f"problem {pid} {fault}", where=where)
            needs[pid] = needed
    return needs


def convert_problem(record: Record, context: ReadContext) -> Iterator[Example]:
    """The hint and the question in one, and the text of the right choice."""
    problem = Problem.model_validate(record.value)
    check_choice("answer", problem.answer, len(problem.choices))
    refuse_reserved([problem.hint])
    hint = " ".join(problem.hint.split())
    images, group = (), f"scienceqa-problem-{record.id}"
    if problem.image:
        base = PurePosixPath(record.file).parent
        image = context.image(str(base / "images" / record.split / record.id / problem.image))
        # maps and diagrams serve many problems
        images, group = (image,), f"scienceqa-{image[:16]}"
    split = context.split(record.split, group)
    target = problem.choices[problem.answer]
    meta = {
        "pid": record.id, "subject": problem.subject, "grade": problem.grade,
        "topic": problem.topic, "hint": bool(hint),
        "misleads": misleads(hint, problem.choices, problem.answer),
    }  # fmt: skip
    if problem.needs_image is not None:
        meta["needs_image"] = problem.needs_image
    yield Example(
        id=f"{context.dataset}/{split}/{record.id}", dataset=context.dataset, split=split,
        task="scienceqa", images=images, question=f"{hint} {problem.question}".strip(),
        choices=tuple(problem.choices), answers=(target,), answer_index=problem.answer,
        target=target, group=group, meta=dump_meta(meta),
    )  # fmt: skip


def misleads(hint: str, choices: Sequence[str], answer: int) -> bool:
    """Whether a hint names a wrong choice, as whole words in any case, and not the right one."""
    named = [
        re.search(rf"(?<!\w){re.escape(choice)}(?!\w)", hint, re.IGNORECASE) is not None
        for choice in choices
    ]
    return any(named) and not named[answer]


SCIENCEQA = Reader(
    name="scienceqa",
    task="scienceqa",
    files=(FILE, "images/{train,val,test}/<pid>/image.png", f"{BIAS} (if any)"),
    licence="CC-BY-NC-SA-4.0",
    find=find_problems,
    convert=convert_problem,
    page=Page(
        title="ScienceQA",
        category="knowledge QA",
        use="test",
        url="https://github.com/lupantech/ScienceQA",
        records="with a picture train 6,218, val 2,097, test 2,017; of 21,208 in all",
        makes="hint and question about a picture; the right choice's text is the answer",
    ),
    roles={"problems": FILE, "bias": BIAS},
)
SCIENCEQA_ALL = Reader(
    name="scienceqa_all",
    task="scienceqa",
    files=SCIENCEQA.files,
    licence=SCIENCEQA.licence,
    find=find_all,
    convert=convert_problem,
    page=Page(
        title="ScienceQA, all problems",
        category="knowledge QA",
        use="test",
        url=SCIENCEQA.page.url,
        records="train 12,726, val 4,241, test 4,241, of which 2,017 with a picture",
        makes="hint and question, about a picture or none; the right choice's text is the answer",
    ),
    roles=SCIENCEQA.roles,
)
