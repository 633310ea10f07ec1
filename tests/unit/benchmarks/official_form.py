"""What is made of a dataset's official files: the files, and predictions in official form."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image

from mmicl.benchmarks.benchmark import Item
from mmicl.records import Split
from mmicl.world.writers.msrvtt_qa import save_video

Files = Mapping[str, Any]
Write = Callable[[Sequence[Item]], Any]


@dataclass(frozen=True)
class Dataset:
    """A dataset's official files.

    Attributes:
        files: Path -> text, or what becomes JSON (a list below `.jsonl` a line each).
        pictures: Paths of pictures, each of a colour of its own.
        films: Paths of videos.
        predict: Answered items -> the official predictions; None where there is no such form.
        references: What `mmicl score` is given, within the files; "" for the whole folder.
        metrics: Our metric -> the official one (a path of keys), and its points a unit.
        resplit: Where the official files have no test items.
        optional: Files that may be missing -> our metrics that are left out then.
        scorer: The official name, where it is not that of the benchmark.
    """

    files: Files
    pictures: Sequence[str] = ()
    films: Sequence[str] = ()
    predict: Write | None = None
    suffix: str = ".json"
    references: str = ""
    metrics: Mapping[str, tuple[str, float]] = field(default_factory=dict)
    resplit: dict[Split, float] | None = None
    optional: Mapping[str, Sequence[str]] = field(default_factory=dict)
    scorer: str = ""

    def write(self, folder: Path) -> None:
        """Write all of them."""
        for name, value in self.files.items():
            if name.endswith(".jsonl"):
                value = "".join(json.dumps(line) + "\n" for line in value)
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(value if isinstance(value, str) else json.dumps(value))
        for name in self.pictures:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(paint(name))
        for name in self.films:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            save_video(
                [Image.new("RGB", (32, 32), (40 * n, 0, 0)) for n in range(4)], folder / name
            )


def paint(name: str) -> bytes:
    """A picture whose colour is its name's."""
    stream, shade = BytesIO(), hashlib.sha256(name.encode()).digest()
    Image.new("RGB", (16, 12), (shade[0], shade[1], shade[2])).save(stream, "PNG")
    return stream.getvalue()


def own_id(item: Item) -> str:
    """The record's own id."""
    return item.example.id.split("/", 2)[2]


def text(item: Item) -> str:
    """The answer to an item of one request."""
    return item.predictions[0].text


def choice(item: Item) -> int:
    """The number of the likeliest candidate."""
    scores = item.predictions[0].scores
    return scores.index(max(scores))


def dump_csv(*rows: Sequence[object]) -> str:
    return "".join(",".join(map(str, row)) + "\n" for row in rows)
