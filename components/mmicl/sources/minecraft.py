"""Minecraft, MMICL's out-of-distribution set: questions about screenshots of the game.

Official is the form that the released project reads: `filter_cap.json`, whose `annotations` have
a picture below `image/`, a question (`question_split`) and its answer (`caption`).
"""

from collections.abc import Iterator

from mmicl.records import Example
from mmicl.sources.json_tables import read_list
from mmicl.sources.official import Official, Record, Text
from mmicl.sources.reader import Page, Reader
from mmicl.sources.reading import ReadContext

FILE = "filter_cap.json"


class Question(Official):
    """An entry of `annotations`."""

    image_id: str
    question_split: Text
    caption: Text


def find_questions(context: ReadContext) -> Iterator[Record]:
    """Every question, by its number in the file (it has no id of its own)."""
    if path := context.find(FILE, f"minecraft/{FILE}"):
        records = read_list(context, path, "annotations", "test", "")
        for number, record in enumerate(records, start=1):
            yield Record("test", str(number), record.file, record.value)


def convert_question(record: Record, context: ReadContext) -> Iterator[Example]:
    """One question with its screenshot."""
    question = Question.model_validate(record.value)
    image = context.image(f"image/{question.image_id}", f"minecraft/image/{question.image_id}")
    yield context.example(
        record.split, record.id, task="vqa", images=(image,), question=question.question_split,
        answers=(question.caption,), target=question.caption, group=f"minecraft-{image[:16]}",
        meta={"image_id": question.image_id},
    )  # fmt: skip


MINECRAFT = Reader(
    name="minecraft",
    task="vqa",
    files=(FILE, "image/*"),
    licence="none declared",
    find=find_questions,
    convert=convert_question,
    page=Page(
        title="Minecraft",
        category="out of distribution",
        use="test",
        url="https://github.com/HaozheZhao/MIC_tool",
        records="not said by its makers",
        makes="a question about a screenshot of the game and its answer",
    ),
    roles={"questions": FILE, "images": "image/"},
)
