"""A small checkout with built samples and their pictures, for the tests of `mmicl browse`."""

import io
from pathlib import Path

from PIL import Image

from mmicl.augment.bank import shipped_bank, write_bank
from mmicl.browse import View
from mmicl.browse.page import open_view
from mmicl.config import load_config
from mmicl.files import write_rows
from mmicl.images.store import ImageWriter
from mmicl.mic.builder import build
from mmicl.mic.recipe import Recipe
from mmicl.paths import Paths
from mmicl.records import Example, ImageBox, crop_reference

ROOT = Path(__file__).resolve().parents[3]
HOSTILE = "<script>alert('x')</script> & \"quotes\""
CROP = ImageBox(10, 5, 30, 25)


def fill(root: Path) -> Paths:
    """60 captions, and 40 questions about a picture with a crop of it; one question is hostile."""
    paths = Paths(root, root / ".mmicl")
    bank = shipped_bank()
    write_bank(paths.bank, [one for templates in bank.values() for one in templates])
    examples: dict[str, list[Example]] = {"coco": [], "vqav2": []}
    for name, count in (("coco", 60), ("vqav2", 40)):
        with ImageWriter(paths.images(name)) as writer:
            for number in range(count):
                key = writer.add_bytes(_paint(f"{name} {number}", number), f"{number}.png")
                caption = name == "coco"
                examples[name].append(
                    Example(
                        id=f"{name}/train/{number:03d}", dataset=name, split="train",
                        task="caption" if caption else "vqa",
                        images=(key,) if caption else (key, crop_reference(key, CROP)),
                        question="" if caption else HOSTILE if number == 7 else "what is it?",
                        target=f"thing {number:03d}", group=f"{name} {number}",
                    )
                )  # fmt: skip
        write_rows(paths.examples(name) / "examples.parquet", examples[name], Example)
    config = load_config(ROOT / "profiles" / "tiny.yaml").build
    quotas = {"pretrain": {"coco": 60}, "finetune": {"vqav2": 40}, "validation": 0}
    config = config.model_copy(update=quotas)
    build(paths.mic, examples.__getitem__, Recipe(bank, config, 1))
    return paths


def open_filled(paths: Paths) -> View:
    return open_view(paths, load_config(ROOT / "profiles" / "tiny.yaml"))


def _paint(name: str, number: int) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (40, 30), (number, 100, len(name))).save(stream, "PNG")
    return stream.getvalue()
