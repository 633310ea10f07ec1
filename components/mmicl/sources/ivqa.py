"""iVQA: open questions about instructional videos, five annotated answers each.

Official `{train,val,test}.csv` with `video_id`, `start`, `end` (seconds of the YouTube video),
`question` and `answer1` to `answer5`. The official videos are the clips themselves, named by the
video's id, or by id, start and end where a video has several.
"""

from collections.abc import Iterator

from mmicl.records import Example
from mmicl.sources.official import Official, Record, Text
from mmicl.sources.reader import FRAMES, Page, Reader
from mmicl.sources.reading import SPLITS, ReadContext
from mmicl.sources.tables import read_table
from mmicl.sources.texts import refuse_reserved
from mmicl.sources.vqa_form import most_common

ANSWERS = ("answer1", "answer2", "answer3", "answer4", "answer5")


class Question(Official):
    """A row."""

    video_id: str
    question: Text
    answer1: str
    answer2: str
    answer3: str
    answer4: str
    answer5: str
    start: str = ""
    end: str = ""


def find_questions(context: ReadContext) -> Iterator[Record]:
    """Every question, by its number in its file (it has no id of its own)."""
    for split in SPLITS:
        if path := context.find(f"{split}.csv", f"ivqa/{split}.csv"):
            rows = read_table(context, path, split, "video_id", ("video_id", "question", *ANSWERS))
            for number, record in enumerate(rows, start=1):
                yield Record(split, str(number), record.file, record.value)


def convert_question(record: Record, context: ReadContext) -> Iterator[Example]:
    """One question with the frames of its clip; the most common answer is the target."""
    row = Question.model_validate(record.value)
    said = (row.answer1, row.answer2, row.answer3, row.answer4, row.answer5)
    refuse_reserved(said)
    names = [row.video_id, f"{row.video_id}_{row.start}_{row.end}"]
    images = context.frames(*(f"videos/{name}.mp4" for name in names))
    yield context.example(
        record.split, record.id, task="video", images=images, question=row.question,
        answers=tuple(answer for answer in said if answer.strip()), target=most_common(said),
        group=f"ivqa-{row.video_id}", meta={"video_id": row.video_id},
    )  # fmt: skip


IVQA = Reader(
    name="ivqa",
    task="video",
    files=("{train,val,test}.csv", "videos/<video_id>.mp4"),
    licence="none declared; videos under YouTube's terms",
    find=find_questions,
    convert=convert_question,
    page=Page(
        title="iVQA",
        category="video QA",
        use="test",
        url="https://antoyang.github.io/just-ask.html",
        records="train 5,994, val 1,999, test 2,000",
        makes="frames of a video and a question; the most common of five answers",
    ),
    roles={"train": "train.csv", "val": "val.csv", "test": "test.csv", "videos": "videos/"},
    frames=FRAMES,
)
