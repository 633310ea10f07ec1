"""A checkout made for training in a second: pictures of one shape, its caption, its colour."""

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw
from ruamel.yaml import YAML

from mmicl.config import Config, check_config
from mmicl.files import write_rows
from mmicl.images.store import ImageWriter
from mmicl.model.tiny import CORPUS, build_config, build_model, build_tokenizer, read_corpus
from mmicl.model.tiny import write_backbone as write_folder
from mmicl.paths import Paths
from mmicl.records import Sample

TINY = Path(__file__).resolve().parents[2] / "profiles" / "tiny.yaml"
COLOURS = ("red", "green", "blue", "yellow")
SHORT = {"steps": 6, "global_batch": 8, "max_target_tokens": 16, "learning_rate": 1e-3}


def make_workspace(root: Path, *, dropout: float = 0.0, pictures: int = 24, **launch: int) -> Paths:
    """Write params, pictures and tables for both stages.

    Args:
        root: The checkout.
        dropout: Of the model; above zero, random numbers decide over results.
        pictures: How many, and how many samples of stage I.
        launch: Changes to the launch section.
    """
    write_backbone(root / "base", dropout)
    params = YAML(typ="safe").load(TINY)
    params["datasets"] = {"coco": params["datasets"]["coco"]}
    params["build"] |= {"pretrain": {"coco": 9}, "finetune": {"coco": 9}}
    params["evaluate"]["benchmarks"] = {}
    params["model"]["base"] = str(root / "base")
    params["pretrain"] |= SHORT | {"contrastive": 0.0}
    params["finetune"] |= SHORT
    params["launch"] |= {"threads": 1, "processes": 1, "micro_batch": 4, "checkpoint_every": 2}
    params["launch"] |= launch
    YAML().dump(params, root / "params.yaml")
    paths = Paths(root, root / ".mmicl")
    images, colours = write_pictures(paths.images("coco"), pictures)
    write_tables(paths.mic, images, colours)
    return paths


def read_config(paths: Paths, **sections: dict[str, Any]) -> Config:
    """The workspace's Config, with changes to sections, written to its params as well."""
    params = YAML(typ="safe").load(paths.root / "params.yaml")
    for section, changes in sections.items():
        params[section] |= changes
    YAML().dump(params, paths.root / "params.yaml")
    return check_config(params, "params.yaml")


def write_backbone(folder: Path, dropout: float) -> None:
    """A miniature with random weights."""
    tokenizer = build_tokenizer(read_corpus(CORPUS))
    write_folder(folder, build_model(build_config(dropout=dropout), seed=0), tokenizer)


def write_pictures(folder: Path, number: int) -> tuple[list[str], list[str]]:
    """Squares of four colours; references and colours."""
    places = np.random.default_rng(0).integers(0, 60, (number, 2)).tolist()
    references = []
    with ImageWriter(folder) as writer:
        for index, (x, y) in enumerate(places):
            picture = Image.new("RGB", (96, 96), "white")
            box = (x, y, x + 30, y + 30)
            ImageDraw.Draw(picture).rectangle(box, fill=COLOURS[index % 4])
            references.append(writer.add_pixels(np.asarray(picture)))
    return references, [COLOURS[index % 4] for index in range(number)]


def write_tables(folder: Path, images: list[str], colours: list[str]) -> None:
    """pretrain.parquet, finetune.parquet and val.parquet."""

    def caption(index: int) -> Sample:
        prompt = "image 0 is <image0>图. Describe the image. Answer:"
        return make_sample(f"a {colours[index]} square.", prompt, [images[index]], index)

    def question(index: int) -> Sample:
        count = 1 + index % 3
        shown = [(index + step) % len(images) for step in range(count)]
        declared = " ".join(f"image {k} is <image{k}>图." for k in range(count))
        prompt = f"{declared} What colour is the square in image {count - 1}? Answer:"
        return make_sample(colours[shown[-1]], prompt, [images[place] for place in shown], index)

    rows = range(len(images))
    write_rows(folder / "pretrain.parquet", [caption(index) for index in rows], Sample)
    write_rows(folder / "finetune.parquet", [question(index) for index in rows], Sample)
    write_rows(folder / "val.parquet", [question(index) for index in rows[:7]], Sample)


def make_sample(target: str, prompt: str, images: list[str], index: int) -> Sample:
    """One row."""
    return Sample(
        id=f"coco/train/{index}",
        source=f"coco/train/{index}",
        dataset="coco",
        split="train",
        task="vqa",
        images=tuple(images),
        prompt=prompt,
        target=target,
        template="t",
        group=str(index),
    )
