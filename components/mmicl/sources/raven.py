"""RAVEN: 3x3 matrices with a missing panel and eight candidates.

Official `<configuration>/RAVEN_<number>_<split>.npz` with `image` (16, 160, 160) uint8, the eight
given panels and then the candidates, and `target`, the right one's number.
"""

import io
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import numpy as np

from mmicl.records import Example, Split
from mmicl.sources.official import Record, RecordError, dump_meta
from mmicl.sources.reader import Page, Reader
from mmicl.sources.reading import ReadContext

CONTEXT = 8
CANDIDATES = 8
MAX_SIDE = 512
_NAME = re.compile(r"RAVEN_(\d+)_(train|val|test)\.npz")


def find_puzzles(context: ReadContext) -> Iterator[Record]:
    """Every puzzle file, by configuration and number."""
    found = []
    for path in context.folder.rglob("RAVEN_*.npz"):
        if match := _NAME.fullmatch(path.name):
            found.append((path.parent.name, int(match[1]), cast("Split", match[2]), path))
    for configuration, number, split, path in sorted(found):
        yield Record(split, f"{configuration}-{number}", context.name(path), path)


def convert_puzzle(record: Record, context: ReadContext) -> Iterator[Example]:
    """One puzzle as sixteen pictures."""
    panels, target = read_puzzle(context.safe_path(record.file))
    images = tuple(context.writer.add_pixels(panel) for panel in panels)
    group = f"raven-{record.id}"
    split = context.split(record.split, group)
    yield Example(
        id=f"{context.dataset}/{split}/{record.id}", dataset=context.dataset, split=split,
        task="raven", images=images, question="", answers=(f"<image:{CONTEXT + target}>",),
        answer_index=target, target=f"<image:{CONTEXT + target}>", group=group,
        meta=dump_meta({"configuration": record.id.rpartition("-")[0]}),
    )  # fmt: skip


def read_puzzle(path: Path) -> tuple[np.ndarray, int]:
    """The panels (16, height, width) uint8 and the number of the right candidate.

    Raises:
        RecordError: Not such a file; arrays that would need pickle are refused.
    """
    limit = (CONTEXT + CANDIDATES) * MAX_SIDE * MAX_SIDE + 1024
    try:
        with zipfile.ZipFile(path) as archive:
            arrays = {}
            for name in ("image", "target"):
                if archive.getinfo(f"{name}.npy").file_size > limit:
                    raise RecordError("malformed", f"{name} holds more than {limit} bytes")
                data = io.BytesIO(archive.read(f"{name}.npy"))
                arrays[name] = np.lib.format.read_array(data, allow_pickle=False)
    except RecordError:
        raise
    except Exception as error:  # zlib, zipfile and numpy's headers (a tokenizer) raise all sorts
        raise RecordError("malformed", f"not a RAVEN archive ({error})") from None
    panels, target = arrays["image"], arrays["target"]
    if panels.ndim != 3 or len(panels) != CONTEXT + CANDIDATES or panels.dtype != np.uint8:
        raise RecordError("malformed", f"image is {panels.dtype} {panels.shape}")
    if target.size != 1 or target.dtype.kind not in "iu" or not 0 <= int(target) < CANDIDATES:
        raise RecordError("malformed", "target is no number of a candidate")
    return panels, int(target)


RAVEN = Reader(
    name="raven",
    task="raven",
    files=("<configuration>/RAVEN_<number>_{train,val,test}.npz",),
    licence="GPL-3.0 (official repository)",
    find=find_puzzles,
    convert=convert_puzzle,
    page=Page(
        title="RAVEN",
        category="nonverbal reasoning (ours)",
        use="train, test",
        url="https://github.com/WellyZhang/RAVEN",
        records="70,000 puzzles: train 42,000, val 14,000, test 14,000",
        makes="eight panels of a matrix and eight candidates",
    ),
)
