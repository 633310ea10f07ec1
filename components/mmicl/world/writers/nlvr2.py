"""NLVR2: sentences that are true of two of four pairs of photographs.

As the original's `train.json`, `dev.json`, `test1.json` (JSON Lines) and its image layout
(`images/train/<directory>/`, `dev/`, `test1/`); val is called dev, test is test1. A set has four
pairs and two sentences, so eight records; `n` counts training records.
"""

import random
from pathlib import Path
from typing import Any

from mmicl.records import Split
from mmicl.world.attributes import SPLITS
from mmicl.world.pairs import PAIRS_PER_SET, PairSet, sample_pair_set
from mmicl.world.plan import Plan
from mmicl.world.writers.common import Studio, save_lines

FILES: dict[Split, str] = {"train": "train", "val": "dev", "test": "test1"}
SENTENCES_PER_SET = 2
DIRECTORIES = 10


def write(plan: Plan, folder: Path, studio: Studio) -> None:
    """Write the three JSON Lines files and the pictures."""
    for split in SPLITS:
        name = FILES[split]
        records: list[dict[str, Any]] = []
        per_set = PAIRS_PER_SET * SENTENCES_PER_SET
        for number in range(-(-plan.count(split) // per_set)):
            rng = random.Random(plan.stream(split, number))
            pair_set = sample_pair_set(rng, split, SENTENCES_PER_SET)
            records += make_records(pair_set, name, number)
            save_pictures(studio, pair_set, folder, name, number)
        save_lines(records, folder / f"{name}.json")


def make_records(pair_set: PairSet, name: str, number: int) -> list[dict[str, Any]]:
    """The records of a set, sentence by sentence."""
    records = []
    for place, statement in enumerate(pair_set.statements):
        for pair, scenes in enumerate(pair_set.pairs):
            label = str(statement.holds(*scenes))
            record: dict[str, Any] = {
                "validation": {"0": label},
                "sentence": statement.text,
                "left_url": f"world://nlvr2/{name}/{number}/{pair}/0",
                "writer": "0",
                "label": label,
                "right_url": f"world://nlvr2/{name}/{number}/{pair}/1",
                "synset": statement.kind.noun,
                "query": f"{statement.kind.noun}{number}",
                "identifier": f"{name}-{number}-{pair}-{place}",
            }
            if name == "train":
                record["directory"] = number % DIRECTORIES
            else:
                record["extra_validations"] = {"1": label}
            records.append(record)
    return records


def save_pictures(studio: Studio, pair_set: PairSet, folder: Path, name: str, number: int) -> None:
    """Save the pictures of a set where the original has them."""
    place = (
        folder / "images" / "train" / str(number % DIRECTORIES)
        if name == "train"
        else folder / name
    )
    for pair, scenes in enumerate(pair_set.pairs):
        for side, scene in enumerate(scenes):
            studio.draw_png(scene, place / f"{name}-{number}-{pair}-img{side}.png")
