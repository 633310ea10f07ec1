"""A checkout's data as the stages before the gate leave it."""

import hashlib
import shutil
from pathlib import Path

import pytest
from planted_faults import name_copy

from mmicl.augment.bank import shipped_bank, write_bank
from mmicl.config import Config, load_config
from mmicl.files import write_rows
from mmicl.images.look import PICTURES, PictureRow
from mmicl.mic.builder import build
from mmicl.mic.recipe import Recipe
from mmicl.paths import Paths
from mmicl.records import Example, Split

ROOT = Path(__file__).resolve().parents[3]
SPLITS: tuple[tuple[Split, int], ...] = (("train", 50), ("val", 10), ("test", 10))


def example(dataset: str, task: str, split: Split, number: int) -> Example:
    name = f"{dataset}/{split}/{number:03d}"
    return Example(
        id=name, dataset=dataset, split=split, task=task, target=f"answer {number % 7}",
        question="" if task == "caption" else "what?", group=f"group {name}",
        images=(hashlib.sha256(name.encode()).hexdigest(),),
    )  # fmt: skip


def picture(row: Example) -> PictureRow:
    """What ingest would have written down of an Example's picture, unlike any other."""
    look = hashlib.sha256(row.id.encode()).hexdigest()[:48]
    return PictureRow(sha256=row.images[0], width=40, height=30, look=look)


@pytest.fixture(scope="session")
def config() -> Config:
    whole = load_config(ROOT / "profiles" / "tiny.yaml")
    return whole.model_copy(
        update={
            "datasets": {name: whole.datasets[name] for name in ("coco", "vqav2")},
            "build": whole.build.model_copy(
                update={"pretrain": {"coco": 40}, "finetune": {"vqav2": 40}, "validation": 5}
            ),
            "validate_": whole.validate_.model_copy(update={"min_samples": 40}),
        }
    )


@pytest.fixture(scope="session")
def sound(tmp_path_factory: pytest.TempPathFactory, config: Config) -> Path:
    """A checkout's data as the stages before the gate leave it."""
    paths = Paths.here(tmp_path_factory.mktemp("sound"))
    bank = shipped_bank()
    write_bank(paths.bank, [one for templates in bank.values() for one in templates])
    examples = {
        dataset: [
            example(dataset, task, split, number)
            for split, count in SPLITS
            for number in range(count)
        ]
        for dataset, task in (("coco", "caption"), ("vqav2", "vqa"))
    }
    for dataset, rows in examples.items():
        write_rows(paths.examples(dataset) / "examples.parquet", rows, Example)
        known = [picture(row) for row in rows]
        copies = [one.model_copy(update={"sha256": name_copy(one.sha256)}) for one in known]
        write_rows(paths.examples(dataset) / PICTURES, [*known, *copies], PictureRow)
    build(paths.mic, examples.__getitem__, Recipe(bank, config.build, config.seed))
    # Left over from another profile, and damaged: nobody may look at it.
    paths.examples("old").mkdir()
    (paths.examples("old") / "examples.parquet").write_bytes(b"no table")
    return paths.root


@pytest.fixture
def paths(sound: Path, tmp_path: Path) -> Paths:
    root = tmp_path / "checkout"
    shutil.copytree(sound, root)
    return Paths(root, root / ".mmicl")
