"""Official files of all that the full-size profiles are tested with, a handful of records each.

Most are those whose right answers must reach the top (`tests/unit/benchmarks/official_*.py`). What
is by hand here borrows COCO's photos, or has a training split for worked examples.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from official_choices import CHOICES
from official_form import Dataset
from official_written import WRITTEN

SHOTS = 8
"""Worked examples that there must be enough of."""
OWN = (
    "flickr30k",
    "okvqa",
    "stvqa",
    "aokvqa",
    "aokvqa_direct",
    "vsr",
    "vizwiz",
    "hateful_memes",
    "websrc",
)
"""Those by hand, here or in `paper_files.py`."""


def write_test_files(data: Path, photos: Sequence[int]) -> None:
    """Into one folder a dataset, beside what is there of its training split.

    Args:
        data: The folder of folders.
        photos: Numbers of photos that the folder of COCO has.
    """
    shared = {
        # Testdev is asked of photos that Visual Genome lends as well.
        name: replace(one, pictures=()) if name == "gqa" else one
        for name, one in (WRITTEN | CHOICES).items()
        if name not in OWN
    }
    own = {
        "aokvqa": write_aokvqa(photos),
        "vsr": write_vsr(photos),
        "vizwiz": write_vizwiz(),
        "hateful_memes": write_hateful_memes(),
        "websrc": write_websrc(),
    }
    for name, dataset in (shared | own).items():
        dataset.write(data / name)


def write_aokvqa(photos: Sequence[int]) -> Dataset:
    asked = [
        {"question_id": f"q{photo}", "image_id": photo, "question": "What is it for?",
         "choices": ["rain", "sun", "snow", "wind"], "correct_choice_idx": 1,
         "direct_answers": ["sun"] * 10, "difficult_direct_answer": False}
        for photo in photos
    ]  # fmt: skip
    return Dataset(files={"aokvqa_v1p0_val.json": asked})


def write_vsr(photos: Sequence[int]) -> Dataset:
    lines = [
        {"image": f"{photo:012d}.jpg", "caption": "The cat is under the bed.", "label": n % 2,
         "relation": "under"}
        for n, photo in enumerate(photos)
    ]  # fmt: skip
    return Dataset(files={"test.jsonl": lines})


def write_vizwiz() -> Dataset:
    files: dict[str, Any] = {}
    for split, count in (("train", SHOTS + 2), ("val", 2)):
        files[f"Annotations/{split}.json"] = [
            {"image": f"VizWiz_{split}_{n:08d}.jpg", "question": f"What is thing {n}?",
             "answers": [{"answer": f"soup {n}", "answer_confidence": "yes"}] * 10,
             "answer_type": "other", "answerable": 1}
            for n in range(count)
        ]  # fmt: skip
    pictures = [
        f"{split}/{one['image']}" for split in ("train", "val")
        for one in files[f"Annotations/{split}.json"]
    ]  # fmt: skip
    return Dataset(files=files, pictures=pictures)


def write_hateful_memes() -> Dataset:
    memes = [
        {"id": n, "img": f"img/{n}.png", "label": n % 2, "text": f"words {n}"}
        for n in range(SHOTS + 4)
    ]
    return Dataset(
        files={"train.jsonl": memes[2:], "dev_seen.jsonl": memes[:2]},
        pictures=[meme["img"] for meme in memes],
    )


def write_websrc() -> Dataset:
    """A website of the training split, and one of dev."""
    files: dict[str, Any] = {"dataset_split.json": {"train": ["bo01"], "dev": ["bo02"], "test": []}}
    pictures = []
    for site, count in (("01", SHOTS + 2), ("02", 2)):
        pages = [f"{site}000{n:02d}" for n in range(count)]
        files[f"book/{site}/dataset.csv"] = (
            "question,id,element_id,answer_start,answer\n"
            + "".join(f"what {page},bo{page}00000,2,0,red wine {page}\n" for page in pages)
        )
        pictures += [f"book/{site}/processed_data/{page}.png" for page in pages]
    return Dataset(files=files, pictures=pictures)
