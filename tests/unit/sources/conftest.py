import functools
import hashlib
import json
import os
import shutil
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import pytest
from PIL import Image

from mmicl.files import hash_file, read_rows
from mmicl.images.store import ImageStore
from mmicl.mic.queries import expand
from mmicl.mic.scheme import find_fault
from mmicl.records import Example, Rejected
from mmicl.sources import EXAMPLES, READERS, REJECTED, ingest_dataset, name_files, set_frames
from mmicl.world import generate
from mmicl.world.writers.msrvtt_qa import save_video


@dataclass(frozen=True)
class Ingested:
    """What one ingest left on disk."""

    manifest: dict[str, Any]
    examples: list[Example]
    rejected: list[Rejected]
    store: ImageStore
    out: Path

    def of(self, split: str) -> list[Example]:
        return [row for row in self.examples if row.split == split]

    @property
    def reasons(self) -> dict[str, str]:
        """Why each rejected record was, by its id."""
        return {row.record: row.reason for row in self.rejected}

    @property
    def targets(self) -> dict[str, str]:
        """Each Example's target, by its id within the split."""
        return {row.id.split("/", 2)[2]: row.target for row in self.examples}


@pytest.fixture
def ingest(tmp_path: Path) -> Callable[..., Ingested]:
    """Ingest a folder by a reader's name and read back what was written.

    Every Example must be a question of its task, or no prompt could be made of it.
    """

    def run(reader: str, folder: Path, limit: float = 0.0, **options: Any) -> Ingested:
        out = tmp_path / options.pop("out", "out")
        manifest = ingest_dataset(
            set_frames(
                name_files(READERS[reader], options.pop("files", {})), options.pop("frames", None)
            ),
            folder,
            out / "examples",
            out / "images",
            name=options.pop("name", reader),
            max_quarantined=limit,
            resplit=options.pop("resplit", None),
            quarantine=tmp_path / "quarantine",
            lender=options.pop("lender", None),
            sharing=options.pop("sharing", None),
        )
        examples = read_rows(out / "examples" / EXAMPLES, Example)
        faults = {find_fault(query) for example in examples for query in expand(example)}
        assert faults <= {""}
        return Ingested(
            manifest,
            examples,
            read_rows(out / "examples" / REJECTED, Rejected),
            ImageStore([out / "images"]),
            out,
        )

    return run


@pytest.fixture(scope="session")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, int], Path]:
    """A dataset of the procedural world, rendered once a session; read only."""

    @functools.cache
    def render(name: str, n: int) -> Path:
        folder = tmp_path_factory.mktemp(f"world_{name}")
        generate(name, {"n": n, "seed": 3}, folder)
        return folder

    return render


@pytest.fixture
def world(rendered: Callable[[str, int], Path], tmp_path: Path) -> Callable[..., Path]:
    """A copy of a rendered dataset that a test may damage."""

    def copy(name: str, n: int = 24) -> Path:
        return Path(shutil.copytree(rendered(name, n), tmp_path / "official" / name))

    return copy


@pytest.fixture
def official(tmp_path: Path) -> Callable[..., Path]:
    """Write official files: objects as JSON, lists under `.jsonl` as lines, texts as they are."""

    def run(files: dict[str, Any], folder: str = "official") -> Path:
        for name, value in files.items():
            path = tmp_path / folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(value, list) and path.suffix == ".jsonl":
                value = "".join(json.dumps(line) + "\n" for line in value)
            text = value if isinstance(value, str) else json.dumps(value)
            path.write_text(text, encoding="utf-8")
        return tmp_path / folder

    return run


@pytest.fixture
def paint() -> Callable[..., None]:
    """Write small pictures, each of a colour of its own, under the names that records use."""

    def run(folder: Path, *names: str, size: tuple[int, int] = (16, 12)) -> None:
        for name in names:
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            shade = hashlib.sha256(name.encode()).digest()
            Image.new("RGB", size, (shade[0], shade[1], shade[2])).save(path)

    return run


@pytest.fixture
def film(tmp_path: Path) -> Callable[..., None]:
    """Write the same short video, MP4 or AVI, under the names that records use."""
    frames = [Image.new("RGB", (32, 32), (40 * place, 0, 0)) for place in range(6)]
    save_video(frames, tmp_path / "film.mp4")
    with av.open(str(tmp_path / "film.avi"), "w") as container:
        stream = container.add_stream("mpeg4", rate=1)
        stream.width, stream.height = frames[0].size
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_image(frame)))
        container.mux(stream.encode())

    def run(folder: Path, *names: str) -> None:
        for name in names:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(tmp_path / f"film{Path(name).suffix}", folder / name)

    return run


@pytest.fixture
def link(tmp_path: Path) -> Callable[..., dict[str, str]]:
    """Put a stand-in under each of many names that records use; by name, the stand-in's sha256.

    There are few of them (each picture and MP4 of a colour of its own, picture 0 in greyscale) and
    all else are links to them, so thousands of names cost little, and yet a record with another
    one's picture is found out.
    """
    stand_ins: dict[str, tuple[Path, str]] = {}

    def make(own: str, number: int) -> tuple[Path, str]:
        path, shade = tmp_path / own, 30 * number
        if path.suffix == ".mp4":
            save_video([Image.new("RGB", (16, 16), (shade, 90 * k, 0)) for k in range(3)], path)
        elif number:
            Image.new("RGB", (16, 12), (shade, 0, 99)).save(path)
        else:
            Image.new("L", (16, 12), 99).save(path)
        return path, hash_file(path)

    def run(folder: Path, *names: str) -> dict[str, str]:
        found = {}
        for name in dict.fromkeys(names):
            number = zlib.crc32(name.encode()) % 7
            own = f"stand_in_{number}{Path(name).suffix}"
            if own not in stand_ins:
                stand_ins[own] = make(own, number)
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            os.link(stand_ins[own][0], folder / name)
            found[name] = stand_ins[own][1]
        return found

    return run


@pytest.fixture
def take(tmp_path: Path) -> Callable[..., Path]:
    """Copy some of a folder's real files as they are into one that a test may add to."""

    def run(folder: Path, *patterns: str) -> Path:
        out = tmp_path / "taken" / folder.name
        for path in (path for pattern in patterns for path in folder.glob(pattern)):
            (out / path.relative_to(folder)).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, out / path.relative_to(folder))
        return out

    return run
