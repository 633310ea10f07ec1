"""Pictures alike across splits, with the validation parts of both trainings."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from mmicl.files import write_rows
from mmicl.images.look import BITS, PictureRow
from mmicl.mic.builder import PARTS
from mmicl.quality.stored import StoredRows
from mmicl.quality.twins import find_twins
from mmicl.records import Example, Split

Find = Callable[[Mapping[str, str]], dict[str, str]]


def example(split: Split, letter: str) -> Example:
    """One whose picture has this letter as its name, 64 times."""
    return Example(
        id=f"coco/{split}/{letter}", dataset="coco", split=split, task="caption", question="",
        target="a dog", group=letter, images=(letter * 64,),
    )  # fmt: skip


@pytest.fixture
def find(tmp_path: Path) -> Find:
    """Twins among pictures a (train), b and c (val), d (test), by what each part shows."""

    def run(shown: Mapping[str, str]) -> dict[str, str]:
        def store(name: str, rows: list[Example]) -> StoredRows:
            write_rows(tmp_path / name, rows, Example)
            return StoredRows(tmp_path / name, Example)

        splits: dict[str, Split] = {"a": "train", "b": "val", "c": "val", "d": "test"}
        rows = {letter: example(split, letter) for letter, split in splits.items()}
        parts = {part: store(part, [rows[one] for one in shown.get(part, "")]) for part in PARTS}
        look = "0" * (BITS // 4)  # all of them look alike
        pictures = [PictureRow(sha256=one * 64, width=40, height=30, look=look) for one in rows]
        write_rows(tmp_path / "pictures", pictures, PictureRow)
        twins = find_twins(
            {"coco": store("examples", list(rows.values()))},
            parts,
            {"coco": StoredRows(tmp_path / "pictures", PictureRow)},
        )
        return {key[0]: twin[0] for key, twin in twins.items()}

    return run


@pytest.mark.parametrize("part", ["val", "pretrain_val"])
def test_a_held_out_part_is_not_what_is_trained_on(find: Find, part: str) -> None:
    # b is reported also where stage I validates with it; test is held against both.
    assert find({"finetune": "a", part: "b"}) == {"b": "a", "c": "a", "d": "a"}
    assert find({part: "b"}) == {"d": "b"}  # and val may look like val


def test_a_worked_example_of_a_held_out_part_counts_as_trained_on(find: Find) -> None:
    assert find({"val": "ab", "pretrain_val": "c"}) == {"b": "a", "c": "a", "d": "a"}
