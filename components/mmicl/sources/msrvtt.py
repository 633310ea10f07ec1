"""MSR-VTT: a video and about twenty captions.

Official `train_val_videodatainfo.json` and `test_videodatainfo.json`: `videos` with their split,
`sentences` with the captions.
"""

from collections import defaultdict
from collections.abc import Iterator
from typing import Any, Literal

from pydantic import ValidationError

from mmicl.records import Example, Split
from mmicl.sources.coco import spread_captions
from mmicl.sources.json_tables import read_list
from mmicl.sources.msrvtt_qa import FOLDERS
from mmicl.sources.official import Official, Record, RecordError, Text, explain_invalid
from mmicl.sources.reader import FRAMES, Page, Reader
from mmicl.sources.reading import ReadContext

FILES = ("train_val_videodatainfo.json", "test_videodatainfo.json")
SPLITS: dict[str, Split] = {"train": "train", "validate": "val", "test": "test"}


class Video(Official):
    """An entry of `videos`."""

    video_id: str
    split: Literal["train", "validate", "test"]


class Sentence(Official):
    """An entry of `sentences`."""

    sen_id: int
    video_id: str
    caption: Text


def find_videos(context: ReadContext) -> Iterator[Record]:
    """Every video with its captions; what is malformed or of no listed video by itself."""
    for name in FILES:
        path = context.find(name, f"MSRVTT/annotation/{name}")
        if path is None:
            continue
        captions: dict[str, list[Sentence]] = defaultdict(list)
        for record in read_list(context, path, "sentences", "train", "sen_id"):
            sentence = _parse(Sentence, record)
            if isinstance(sentence, RecordError):
                yield Record("train", f"sentence {record.id}", record.file, sentence)
            else:
                captions[sentence.video_id].append(sentence)
        for record in read_list(context, path, "videos", "train", "video_id"):
            video = _parse(Video, record)
            if isinstance(video, RecordError):
                yield Record("train", record.id, record.file, video)
            elif found := captions.pop(video.video_id, []):
                yield Record(SPLITS[video.split], video.video_id, record.file, found)
            else:
                context.unused["videos without captions"] += 1
        for video_id, orphans in captions.items():
            error = RecordError("unknown_video", f"the file lists no video {video_id}")
            for orphan in orphans:
                yield Record("train", f"sentence {orphan.sen_id}", context.name(path), error)


def _parse(shape: type[Official], record: Record) -> Any:
    """An entry in its shape, or what is wrong with it."""
    if isinstance(record.value, RecordError):
        return record.value
    try:
        return shape.model_validate(record.value)
    except ValidationError as error:
        return explain_invalid(error)


def convert_video(record: Record, context: ReadContext) -> Iterator[Example]:
    """One Example per caption in train, one per video elsewhere."""
    return spread_captions(
        context, record.split, record.id, [(str(one.sen_id), one.caption) for one in record.value],
        task="video_caption",
        images=context.frames(*(f"{at}{record.id}.mp4" for at in FOLDERS)),
        question="", group=f"msrvtt-{record.id.removeprefix('video')}",
        meta={"video_id": record.id},
    )  # fmt: skip


MSRVTT = Reader(
    name="msrvtt",
    task="video_caption",
    files=(*FILES, "videos/video<id>.mp4"),
    licence="none declared; videos under YouTube's terms",
    find=find_videos,
    convert=convert_video,
    page=Page(
        title="MSR-VTT",
        category="video captioning",
        use="train",
        url="https://www.microsoft.com/en-us/research/publication/msr-vtt-a-large-video-description-dataset-for-bridging-video-and-language",
        records="train 6,513 videos, val 497, test 2,990; twenty captions each",
        makes="frames of a video and a caption",
    ),
    roles={"train_val": FILES[0], "test": FILES[1], "videos": "videos/"},
    frames=FRAMES,
)
