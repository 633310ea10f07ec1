import functools
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mmicl.files import read_rows
from mmicl.images.store import ImageStore
from mmicl.records import Example, Rejected
from mmicl.sources import EXAMPLES, READERS, REJECTED, ingest_dataset
from mmicl.world import generate


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


@pytest.fixture
def ingest(tmp_path: Path) -> Callable[..., Ingested]:
    """Ingest a folder by a reader's name and read back what was written."""

    def run(reader: str, folder: Path, limit: float = 0.0, **options: Any) -> Ingested:
        out = tmp_path / options.pop("out", "out")
        manifest = ingest_dataset(
            READERS[reader],
            folder,
            out / "examples",
            out / "images",
            name=options.pop("name", reader),
            max_quarantined=limit,
            resplit=options.pop("resplit", None),
            quarantine=tmp_path / "quarantine",
        )
        return Ingested(
            manifest,
            read_rows(out / "examples" / EXAMPLES, Example),
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
