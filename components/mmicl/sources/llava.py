"""LLaVA-Instruct-150K: conversations about a COCO photo.

All turns but the last are the question, the last answer is the target (the released project's
rule). LLaVA-Bench (COCO), a question and GPT-4's answer a line, is the test split.
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import PurePosixPath

from pydantic import Field

from mmicl.records import Example
from mmicl.sources.coco import group_name, photo_places
from mmicl.sources.mantis import IMAGE_TOKEN, Turn, join_turns
from mmicl.sources.official import Official, Record, RecordError, Text
from mmicl.sources.reader import Page, Reader
from mmicl.sources.reading import ReadContext
from mmicl.sources.texts import check_plain

TRAIN, TEST = "llava_instruct_150k.json", "coco2014_val_gpt4_qa_30x3.jsonl"


class Conversation(Official):
    """An entry of the instruction file."""

    id: str
    image: str
    conversations: list[Turn] = Field(min_length=2)


class Line(Official):
    """A line of LLaVA-Bench (COCO); `id` is the photo's."""

    id: str
    image: str
    instruction: Text
    output: Text
    type: str


def find_conversations(context: ReadContext) -> Iterator[Record]:
    """Every conversation, then every line of the benchmark.

    The official id is the photo's, which has up to three conversations: theirs are numbered.
    """
    if path := context.find(TRAIN):
        seen: Counter[str] = Counter()
        for record in context.read_records(path, "train", "id"):
            yield Record("train", f"{record.id}-{seen[record.id]}", record.file, record.value)
            seen[record.id] += 1
    if path := context.find(TEST):
        for record in context.read_records(path, "test", "id"):
            kind = record.value.get("type") if isinstance(record.value, dict) else None
            own = f"{record.id}-{kind}" if kind else record.id
            yield Record("test", own, record.file, record.value)


def convert_conversation(record: Record, context: ReadContext) -> Iterator[Example]:
    """A photo, what was said about it, and the last answer."""
    if "instruction" in record.value:
        line = Line.model_validate(record.value)
        name, asked, answer, kind = line.image, line.instruction, line.output, line.type
    else:
        official = Conversation.model_validate(record.value)
        said, last = join_turns(official.conversations)
        if said.count(IMAGE_TOKEN) != 1:
            raise RecordError("image_count", f"{said.count(IMAGE_TOKEN)} {IMAGE_TOKEN}, not 1")
        asked, answer = check_plain(said.replace(IMAGE_TOKEN, " ")), check_plain(last)
        name, kind = official.image, "conversation"
    number = PurePosixPath(name).stem.rpartition("_")[2]
    if not number.isdecimal():
        raise RecordError("malformed", f"image {name!r} is no photo of COCO")
    folders = ("val2014",) if record.split == "test" else ("train2017", "train2014")
    places = [f"coco/train2017/{name}", f"images/{name}"]
    image = context.image(
        *(place for folder in folders for place in photo_places(folder, int(number))), *places
    )
    yield context.example(
        record.split, record.id, task="dialog", images=(image,), question=asked, answers=(answer,),
        target=answer, group=group_name(int(number)), meta={"image": name, "type": kind},
    )  # fmt: skip


LLAVA = Reader(
    name="llava",
    task="dialog",
    files=(TRAIN, f"{TEST} (if any)", "train2017/*.jpg", "val2014/*.jpg"),
    licence="CC BY-NC 4.0 and OpenAI's terms; photos under their Flickr terms",
    find=find_conversations,
    convert=convert_conversation,
    page=Page(
        title="LLaVA-Instruct-150K",
        category="visual dialog",
        use="train",
        url="https://huggingface.co/datasets/liuhaotian/LLaVA-Instruct-150K",
        records="train 157,712; LLaVA-Bench (COCO) 90",
        makes="a photo and all turns but the last; the last answer is the target",
    ),
    roles={"train": TRAIN, "test": TEST, "train_images": "train2017/", "test_images": "val2014/"},
)
