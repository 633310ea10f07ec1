"""For each rule of the gate, data that break it."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

Rows = list[dict[str, Any]]
Plant = Callable[[Rows], object]


def name_copy(key: str) -> str:
    """Another picture that looks like the one of this key."""
    return hashlib.sha256(f"copy of {key}".encode()).hexdigest()


def edit(path: Path, plant: Plant) -> None:
    """Rewrite a table after `plant` has changed its rows; nulls are let through."""
    table = pq.read_table(path)
    rows = table.to_pylist()
    plant(rows)
    names = [name for name in table.schema.names if name in rows[0]]
    schema = pa.schema([pa.field(name, table.schema.field(name).type) for name in names])
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), path)


def edit_lines(path: Path, plant: Plant) -> None:
    """The same of a table of JSON lines."""
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    plant(rows)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def shown(rows: Rows, place: int) -> dict[str, Any]:
    """The `place`-th sample that has exemplars."""
    return [row for row in rows if row["exemplars"]][place]


def name_exemplar(row: dict[str, Any], exemplar: str) -> str:
    row["exemplars"] = [exemplar, *row["exemplars"][1:]]
    return row["id"]


def change(row: dict[str, Any], **values: Any) -> str:
    row.update(values)
    return row["id"]


def dress_up_exemplar(rows: Rows) -> str:
    row = shown(rows, 3)
    return change(row, group=f"group {row['exemplars'][0]}")


def repeat(first: dict[str, Any], second: dict[str, Any], asked: str) -> str:
    return change(second, **{key: first[key] for key in (asked, "target", "images")})


def ask_again(trained: dict[str, Any], held_out: dict[str, Any]) -> str:
    change(trained, question="What is the Thing that lies on the table?", target="Cup")
    return change(held_out, question="what is the thing that  lies on the table?", target="cup")


def repeat_id(rows: Rows, place: int) -> str:
    return change(rows[place], id=rows[place + 1]["id"])


SAMPLE_FAULTS: dict[str, Callable[[Rows], str]] = {
    "prompts hold one placeholder per image":
        lambda rows: change(rows[0], prompt=rows[0]["prompt"] + "图"),
    "proxies count up from 0, each before its placeholder":
        lambda rows: change(rows[1], prompt=rows[1]["prompt"].replace("<image0>", "<image1>")),
    "samples keep to the number of exemplars":
        lambda rows: change(rows[2], exemplars=[f"vqav2/train/{k:03d}" for k in range(40, 43)]),
    "samples have images": lambda rows: change(rows[-5], images=[]),
    "samples keep to the image budget":
        lambda rows: change(rows[3], images=rows[3]["images"] * 13),
    "sample ids are unique": lambda rows: repeat_id(rows, 4),
    "samples have a target that is not null": lambda rows: change(rows[6], target=None),
    "samples have a target": lambda rows: change(rows[7], target="  "),
    "samples come from the split of their part": lambda rows: change(rows[8], split="test"),
    "samples come from known examples":
        lambda rows: change(rows[9], source="vqav2/train/999"),
    "samples use a template of their task": lambda rows: change(rows[10], template="caption-00"),
    "no query is its own exemplar":
        lambda rows: name_exemplar(shown(rows[11:], 0), shown(rows[11:], 0)["source"]),
    "exemplars come from the training split":
        lambda rows: name_exemplar(shown(rows[11:], 1), "vqav2/val/001"),
    "exemplars are known examples":
        lambda rows: name_exemplar(shown(rows[11:], 2), "vqav2/train/999"),
    "no exemplar is of the query's group": lambda rows: dress_up_exemplar(rows[11:]),
    "pictures of samples are stored, and crops lie within them":
        lambda rows: change(rows[-1], images=["0" * 64]),
    "no sample comes twice": lambda rows: repeat(rows[-3], rows[-2], "prompt"),
    "no exemplar comes twice in a sample":
        lambda rows: change(rows[-4], exemplars=["vqav2/train/041"] * 2),
}  # fmt: skip
EXAMPLE_FAULTS: dict[str, Callable[[Rows], str]] = {
    "example ids are unique over all datasets": lambda rows: repeat_id(rows, 0),
    "examples have ids": lambda rows: change(rows[2], id=None) or "",
    "examples have groups": lambda rows: change(rows[3], group=None),
    "examples are of known splits": lambda rows: change(rows[4], split="dev"),
    "examples are of known tasks": lambda rows: change(rows[5], task="riddle"),
    "examples lie in the folder of their dataset": lambda rows: change(rows[6], dataset="coco"),
    "examples have images": lambda rows: change(rows[7], images=[]),
    "image references are a sha256 with or without a crop":
        lambda rows: change(rows[8], images=["photo.jpg"]),
    "examples have the images, options and answer of their task":
        lambda rows: change(rows[9], task="winoground"),
    "examples can become prompts": lambda rows: change(rows[10], question="图"),
    "no training example of a dataset has the very pictures of a held-out one":
        lambda rows: change(rows[-1], images=rows[11]["images"]),
    "pictures of examples are stored, and crops lie within them":
        lambda rows: change(rows[12], images=[f"{rows[12]['images'][0]}@30,0,41,9"]),
    "pictures have 8 pixels a side, and are not 10 times as long":
        lambda rows: change(rows[13], images=[f"{rows[13]['images'][0]}@0,0,40,3"]),
    "texts of examples are English":
        lambda rows: change(rows[14], question="что это?", target="кошка"),
    "no training example comes twice": lambda rows: repeat(rows[15], rows[16], "question"),
    "no held-out question of 8 words comes with its answer in training":
        lambda rows: ask_again(rows[17], rows[-2]),
    "no held-out picture looks like one that a sample is made of":
        lambda rows: change(rows[-3], images=[name_copy(one["images"][0]) for one in rows[20:40]]),
}  # fmt: skip
BANK_FAULTS: dict[str, Callable[[Rows], str]] = {
    "template ids are unique": lambda rows: repeat_id(rows, 0),
    "templates are of known tasks": lambda rows: change(rows[2], task="riddle"),
    "templates hold each slot of their task once and no stray tokens":
        lambda rows: change(rows[3], text="no slot at all"),
    "no task has the same template text twice":
        lambda rows: change(rows[4], text=rows[5]["text"], task=rows[5]["task"]),
}  # fmt: skip
WHOLE_FAULTS: dict[str, tuple[str, Plant, str]] = {
    "no answer makes up too much of a training part": (
        "data/mic/finetune", lambda rows: [row.update(target="yes") for row in rows], "finetune",
    ),
    "neither yes nor no makes up too much of a dataset's yes/no answers": (
        "data/mic/finetune",
        lambda rows: [row.update(target="No." if n > 28 else "yes") for n, row in enumerate(rows)],
        "finetune/vqav2",
    ),
    "each training part has enough samples": (
        "data/mic/pretrain", lambda rows: rows.pop(), "pretrain",
    ),
    "every file has the columns and types of its rows": (
        "data/examples/vqav2/examples", lambda rows: [row.pop("answer_index") for row in rows],
        "data/examples/vqav2/examples.parquet",
    ),
    "no exemplar shows a picture of the query": (
        "data/examples/vqav2/examples",
        lambda rows: [row.update(images=rows[0]["images"]) for row in rows],
        "finetune/vqav2/train/",
    ),
}  # fmt: skip
