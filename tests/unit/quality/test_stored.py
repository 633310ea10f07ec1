"""Rows of the gate's tables, walked without ever standing in memory together."""

import hashlib
import tracemalloc
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mmicl.augment.bank import shipped_bank, write_bank
from mmicl.config import Config, load_config
from mmicl.errors import DataError
from mmicl.files import write_rows
from mmicl.images.look import PICTURES, PictureRow
from mmicl.mic.builder import PARTS
from mmicl.paths import Paths
from mmicl.quality import stored
from mmicl.quality.language import is_foreign
from mmicl.quality.stored import StoredRows
from mmicl.quality.tables import load_sources, make_tables
from mmicl.records import Example, Sample

ROOT = Path(__file__).resolve().parents[3]
COUNT, LENGTH = 600, 20_000
WHOLE = COUNT * LENGTH
"""Bytes of a table's long texts."""


def example(number: int) -> Example:
    return Example(
        id=f"coco/train/{number:03d}", dataset="coco", split="train", task="vqa",
        images=(hashlib.sha256(str(number).encode()).hexdigest(),), target="thing",
        question=f"{number} " + "x" * LENGTH, answers=("thing", "object"), group=f"group {number}",
    )  # fmt: skip


def sample(row: Example) -> Sample:
    return Sample(
        id=f"finetune/{row.id}", source=row.id, dataset=row.dataset, split=row.split,
        task=row.task, images=row.images, prompt=f"image 0 is <image0>图. {row.question}",
        target=row.target, template="vqa-00", group=row.group,
    )  # fmt: skip


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(stored, "BATCH", 16)
    write_rows(tmp_path / "examples.parquet", map(example, range(COUNT)), Example)
    return tmp_path / "examples.parquet"


def measure_peak(rows: Iterable[Any]) -> int:
    """Bytes that Python holds at most while the rows are walked."""
    tracemalloc.start()
    try:
        for _ in rows:
            pass
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_rows_are_those_of_the_whole_table_each_time(path: Path) -> None:
    rows = StoredRows(path, Example)
    assert (len(rows), rows.fault) == (COUNT, "")
    assert list(rows) == list(rows) == pq.read_table(path).to_pylist()
    first = next(rows.walk("target", "id"))
    assert first == {"target": "thing", "id": "coco/train/000"}


def test_walking_holds_a_batch_at_a_time(path: Path) -> None:
    rows = StoredRows(path, Example)
    assert measure_peak(rows) < WHOLE / 4
    assert measure_peak(list(rows) for _ in range(1)) > WHOLE


def test_columns_that_are_missing_unknown_or_of_another_type_are_told(
    path: Path, tmp_path: Path
) -> None:
    table = pq.read_table(path).drop_columns(["group"])
    table = table.append_column("colour", pa.array(["red"] * COUNT))
    place = table.schema.get_field_index("task")
    table = table.set_column(place, "task", pa.array([["vqa"]] * COUNT))
    pq.write_table(table, tmp_path / "odd.parquet")
    rows = StoredRows(tmp_path / "odd.parquet", Example)
    assert rows.fault == (
        "group is missing; colour is unknown; task is list<element: string>, not string"
    )
    first = next(iter(rows))
    assert (first["group"], first["colour"], first["task"]) == (None, "red", ["vqa"])
    assert list(rows.walk("group")) == [{"group": None}] * COUNT


def test_a_file_that_is_damaged_within_is_named(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[100:2000] = b"\xff" * 1900
    path.write_bytes(data)
    rows = StoredRows(path, Example)
    with pytest.raises(DataError, match=r"examples\.parquet: not Parquet") as caught:
        list(rows)
    assert "\n" not in str(caught.value)


@pytest.fixture
def gate(path: Path) -> tuple[Paths, Config]:
    """A checkout of COUNT Examples and as many samples, built."""
    whole = load_config(ROOT / "profiles" / "tiny.yaml")
    build = whole.build.model_copy(update={"pretrain": {}, "finetune": {"coco": COUNT}})
    config = whole.model_copy(update={"datasets": {"coco": whole.datasets["coco"]}, "build": build})
    paths = Paths.here(path.parent / "checkout")
    rows = [example(number) for number in range(COUNT)]
    known = [PictureRow(sha256=row.images[0], width=9, height=9, look="0" * 48) for row in rows]
    write_bank(paths.bank, [one for some in shipped_bank().values() for one in some])
    write_rows(paths.examples("coco") / "examples.parquet", rows, Example)
    write_rows(paths.examples("coco") / PICTURES, known, PictureRow)
    for part in PARTS:
        made = map(sample, rows) if part == "finetune" else ()
        write_rows(paths.mic / f"{part}.parquet", made, Sample)
    return paths, config


def test_the_tables_of_the_gate_do_not_hold_the_texts(gate: tuple[Paths, Config]) -> None:
    paths, config = gate
    is_foreign("a model of languages is as large however many rows there are")
    tracemalloc.start()
    tables = make_tables(load_sources(paths, config), config)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(tables["examples"]) == len(tables["samples"]) == COUNT
    assert bool(tables["samples"]["proxies_in_order"].all())
    assert peak < WHOLE / 4


def test_tables_made_in_parts_are_those_made_at_once(
    gate: tuple[Paths, Config], monkeypatch: pytest.MonkeyPatch
) -> None:
    paths, config = gate
    whole = make_tables(load_sources(paths, config), config)
    monkeypatch.setattr("mmicl.quality.tables.ROWS_AT_A_TIME", COUNT // 3)
    for name, table in make_tables(load_sources(paths, config), config).items():
        pd.testing.assert_frame_equal(table, whole[name])
