"""Shards as img2dataset writes them, of small pictures of noise."""

import hashlib
import io
import json
import random
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from blip_checkpoints import WORDS
from PIL import Image

Row = dict[str, Any]
Job = Callable[..., dict[str, int]]
"""The type of the fixture `caption`."""


def paint(key: int) -> bytes:
    """A JPEG of coarse noise."""
    noise = np.random.default_rng(key).integers(0, 255, (3, 4, 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(noise).resize((32, 24), Image.Resampling.NEAREST).save(stream, format="JPEG")
    return stream.getvalue()


def make_row(key: int, data: bytes, **changes: Any) -> Row:
    """A row of a table; every picture has a text of a few words."""
    words = random.Random(key).sample(WORDS[5:-4], 5)
    return {
        "url": f"https://example.org/{key}", "key": f"{key:09d}", "caption": " ".join(words),
        "status": "success", "error_message": None, "width": 32, "height": 24,
        "sha256": hashlib.sha256(data).hexdigest(), **changes,
    }  # fmt: skip


def write_shard(folder: Path, name: str, rows: list[Row], pictures: dict[str, bytes]) -> None:
    """`<name>.tar` with picture, text and note of every key in `pictures`; `<name>.parquet`."""
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), folder / f"{name}.parquet")
    known = {row["key"]: row for row in rows}
    with tarfile.open(folder / f"{name}.tar", "w") as archive:
        for key, data in pictures.items():
            row = known[key]
            note = json.dumps({"sha256": row["sha256"], "url": row["url"]}).encode()
            text = (row["caption"] or "").encode()
            for member, content in (
                (f"{key}.jpg", data),
                (f"{key}.txt", text),
                (f"{key}.json", note),
            ):
                entry = tarfile.TarInfo(member)
                entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content))


def write_plain(folder: Path, shards: int = 3, pictures: int = 7) -> Path:
    """Shards of sound pictures alone, numbered as img2dataset does it."""
    for shard in range(shards):
        keys = [10_000 * shard + place for place in range(pictures)]
        painted = {key: paint(key) for key in keys}
        rows = [make_row(key, data) for key, data in painted.items()]
        members = {f"{key:09d}": data for key, data in painted.items()}
        write_shard(folder, f"{shard:05d}", rows, members)
    return folder


def embed_pictures(folder: Path) -> Path:
    """The same shards as `--output_format parquet` writes them: tables with pictures, no tars."""
    for tar in folder.glob("*.tar"):
        pictures = {}
        with tarfile.open(tar) as archive:
            for member in archive:
                if member.name.endswith(".jpg") and (stream := archive.extractfile(member)):
                    pictures[member.name.removesuffix(".jpg")] = stream.read()
        table = pq.read_table(tar.with_suffix(".parquet"))
        cells = [pictures.get(key) for key in table["key"].to_pylist()]
        pq.write_table(
            table.append_column("jpg", pa.array(cells, pa.binary())), tar.with_suffix(".parquet")
        )
        tar.unlink()
    return folder


def read_table(folder: Path, name: str) -> list[Row]:
    return pq.read_table(folder / f"{name}.parquet").to_pylist()


def read_files(folder: Path) -> dict[str, bytes]:
    """All files of a folder, hidden ones too."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
