"""WebSRC: questions about web pages, of which the screenshot is the picture.

Official `<domain>/<website>/dataset.csv` with `processed_data/<page>.png`; an id is two letters of
the domain, the page's seven digits and the question's five. Whole websites belong to a split, by
`dataset_split.json`; without it all are train. Test rows have no answer.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

from mmicl.errors import DataError
from mmicl.records import Example, Split
from mmicl.sources.json_tables import keep_public
from mmicl.sources.official import Official, Record, RecordError, Text
from mmicl.sources.reader import Page, Reader
from mmicl.sources.reading import ReadContext
from mmicl.sources.tables import read_table

SPLIT_FILE = "dataset_split.json"
COLUMNS = ("question", "id")
_ID = re.compile(r"[a-z]{2}(\d{7})\d{5}")


class Question(Official):
    """A row; `element_id` is the answer's node in the page, -1 for yes and no."""

    id: str
    question: Text
    answer: Text
    element_id: str
    answer_start: str


def find_questions(context: ReadContext) -> Iterator[Record]:
    """Every question of every website."""
    path = context.find(SPLIT_FILE)
    named = context.read_json(path) if path else {}
    for table in context.files("*/*/dataset.csv"):
        place = PurePosixPath(context.name(table))
        split = _split(named, place.parts[0][:2] + place.parts[1], context)
        yield from keep_public(context, read_table(context, table, split, "id", COLUMNS), "answer")


def _split(named: Any, website: str, context: ReadContext) -> Split:
    """The split of a website such as `au03`.

    Raises:
        DataError: The file of splits is no object of lists.
    """
    if not isinstance(named, Mapping):
        raise DataError("is no object of lists", where=f"{context.dataset}: {SPLIT_FILE}")
    if website in named.get("dev", ()):
        return "val"
    return "test" if website in named.get("test", ()) else "train"


def convert_question(record: Record, context: ReadContext) -> Iterator[Example]:
    """One question with its page's screenshot."""
    question = Question.model_validate(record.value)
    parts = _ID.fullmatch(question.id)
    if parts is None:
        raise RecordError("malformed", f"id {question.id!r} names no page")
    website = PurePosixPath(record.file).parent
    image = context.image(f"{website}/processed_data/{parts[1]}.png")
    meta = {
        "id": question.id, "domain": website.parts[0], "element_id": question.element_id,
        "answer_start": question.answer_start,
    }  # fmt: skip
    yield context.example(
        record.split, question.id, task="vqa", images=(image,), question=question.question,
        answers=(question.answer,), target=question.answer, group=f"websrc-{question.id[:9]}",
        meta=meta,
    )  # fmt: skip


WEBSRC = Reader(
    name="websrc",
    task="vqa",
    files=(
        "<domain>/<website>/dataset.csv",
        "<domain>/<website>/processed_data/<page>.png",
        f"{SPLIT_FILE} (if any)",
    ),
    licence="CC BY 4.0; pages under their websites' terms",
    find=find_questions,
    convert=convert_question,
    page=Page(
        title="WebSRC",
        category="web page QA",
        use="test",
        url="https://x-lance.github.io/WebSRC",
        records="train 307,315, dev 52,826, test 40,357 (its answers are not public)",
        makes="a question about a web page's screenshot; the answer is words of the page",
    ),
    roles={"splits": SPLIT_FILE},
)
