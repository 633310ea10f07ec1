"""MMBench: multiple choice over twenty abilities, pictures within the table.

Official tab-separated `mmbench_{dev,test}*.tsv`: `image` is a picture in base64 or, in the rows
of the circular evaluation, the index of the row that has it. The test answers are not public.
"""

import base64
import binascii
import re
from collections.abc import Iterator

from mmicl.records import Example, Split
from mmicl.sources.official import Official, Record, RecordError, Text
from mmicl.sources.reader import Page, Reader
from mmicl.sources.reading import ReadContext
from mmicl.sources.tables import read_table
from mmicl.sources.texts import check_plain

SPLITS: dict[str, Split] = {"dev": "val", "test": "test"}
LETTERS = ("A", "B", "C", "D")
COLUMNS = ("index", "question", "hint", *LETTERS, "category", "image")
MAX_INDEX = 12
"""Digits in a row's index; what is longer is a picture."""


class Question(Official):
    """A row; options that it does not have are empty."""

    index: str
    question: Text
    hint: str
    A: str
    B: str
    C: str
    D: str
    answer: str
    category: str
    image: str


def find_questions(context: ReadContext) -> Iterator[Record]:
    """Every row whose answer is public; a value is (row, pictures by index)."""
    for path in context.files("*.tsv"):
        match = re.match(r"mmbench_(dev|test)", context.official_name(path), re.IGNORECASE)
        if match is None:
            continue
        pictures: dict[str, str] = {}
        split = SPLITS[match[1].lower()]
        for record in read_table(context, path, split, "index", COLUMNS, delimiter="\t"):
            row = record.value
            if isinstance(row, RecordError):
                yield record
                continue
            if len(row["image"]) > MAX_INDEX:
                pictures[row["index"]] = row["image"]
            if split == "test" and not row.get("answer"):
                context.unused["questions of test without public answers"] += 1
            else:
                yield Record(split, record.id, record.file, (row, pictures))


def convert_question(record: Record, context: ReadContext) -> Iterator[Example]:
    """Hint and question in one, and the options that there are."""
    row, pictures = record.value
    question = Question.model_validate(row)
    letters = [letter for letter in LETTERS if row[letter].strip()]
    if question.answer not in letters:
        raise RecordError("malformed", f"answer {question.answer!r} of options {letters}")
    choices = tuple(check_plain(row[letter]) for letter in letters)
    encoded = pictures.get(question.image, question.image)
    try:
        data = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raise RecordError("malformed", "image is no base64") from None
    image = context.writer.add_bytes(data, f"{question.index} in {record.file}")
    hint = check_plain(question.hint) if question.hint.strip() not in ("", "nan") else ""
    right = letters.index(question.answer)
    yield context.example(
        record.split, question.index, task="choice", images=(image,),
        question=f"{hint} {question.question}".strip(), choices=choices,
        answers=(choices[right],), answer_index=right, target=choices[right],
        group=f"mmbench-{image[:16]}",
        meta={
            "index": question.index, "category": question.category,
            "l2_category": row.get("l2-category", ""),
        },
    )  # fmt: skip


MMBENCH = Reader(
    name="mmbench",
    task="choice",
    files=("mmbench_{dev,test}*.tsv",),
    licence="CC BY-NC-SA 4.0 (Apache-2.0 code)",
    find=find_questions,
    convert=convert_question,
    page=Page(
        title="MMBench",
        category="benchmark (20 abilities)",
        use="test",
        url="https://github.com/open-compass/MMBench",
        records="dev 1,164 questions (4,377 rows of the circular evaluation), test 1,784 (6,718)",
        makes="hint and question about a picture, two to four options",
    ),
    roles={"dev": "mmbench_dev.tsv", "test": "mmbench_test.tsv"},
)
