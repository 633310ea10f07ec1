"""A reader sees the old file or the whole new one."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from mmicl import files
from mmicl.errors import DataError
from mmicl.files import (
    RowWriter,
    hash_file,
    hash_json,
    make_table,
    open_rows,
    read_columns,
    read_json,
    read_rows,
    replace_file,
    replace_folder,
    write_json,
    write_rows,
)
from mmicl.records import (
    Example,
    ImageBox,
    Rejected,
    crop_reference,
    split_reference,
)

EXAMPLE = Example(
    id="vqa/train/1",
    dataset="vqa",
    split="train",
    task="vqa",
    images=("ab", "ab@1,2,3,4"),
    question="Wie viele? 图書",
    answers=("two", "2"),
    target="two",
    group="ab",
)


def test_rows_come_back_as_they_went(tmp_path: Path) -> None:
    path = tmp_path / "examples.parquet"
    assert write_rows(path, [EXAMPLE], Example) == 1
    assert read_rows(path, Example) == [EXAMPLE]


def test_an_empty_table_keeps_its_schema(tmp_path: Path) -> None:
    path = tmp_path / "rejected.parquet"
    write_rows(path, [], Rejected)
    assert read_rows(path, Rejected) == []


def test_equal_rows_are_equal_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_rows(tmp_path / name, [EXAMPLE] * 3, Example)
    assert hash_file(tmp_path / "a") == hash_file(tmp_path / "b")


ROWS = [EXAMPLE.model_copy(update={"id": f"vqa/train/{number}"}) for number in range(25)]


@pytest.mark.parametrize("pieces", [(1,) * 25, (25,), (7, 0, 18), (10, 10, 5)])
def test_rows_give_the_same_groups_and_bytes_however_they_come(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pieces: tuple[int, ...]
) -> None:
    monkeypatch.setattr(files, "GROUP_ROWS", 10)
    monkeypatch.setattr(files, "CHUNK_ROWS", 4)
    write_rows(tmp_path / "rows.parquet", ROWS, Example)
    at = 0
    with RowWriter(tmp_path / "pieces.parquet", Example) as writer:
        for size in pieces:
            piece = ROWS[at : at + size]
            at += size
            if size == 1:
                writer.write(piece[0])
            else:
                writer.write_table(make_table(piece, Example))
    assert writer.count == 25
    assert hash_file(tmp_path / "rows.parquet") == hash_file(tmp_path / "pieces.parquet")
    described = pq.read_metadata(tmp_path / "pieces.parquet")
    groups = [described.row_group(place).num_rows for place in range(described.num_row_groups)]
    assert groups == [10, 10, 5]
    assert read_rows(tmp_path / "pieces.parquet", Example) == ROWS


def test_an_open_table_gives_rows_by_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "GROUP_ROWS", 10)
    write_rows(tmp_path / "rows.parquet", ROWS, Example)
    table = open_rows(tmp_path / "rows.parquet", Example)
    assert len(table) == 25
    assert [table[place] for place in (0, 11, 24)] == [ROWS[0], ROWS[11], ROWS[24]]
    assert list(table[8:13]) == ROWS[8:13]
    assert table[8:13][4] == ROWS[12]
    assert list(table) == ROWS
    for place in (25, -1):
        with pytest.raises(IndexError):
            table[place]
    columns = read_columns(tmp_path / "rows.parquet", Example, ("id", "images"))
    assert columns.column_names == ["id", "images"]
    write_rows(tmp_path / "none.parquet", [], Example)
    assert list(open_rows(tmp_path / "none.parquet", Example)) == []


def test_a_row_that_does_not_fit_is_named_when_it_is_looked_at(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    wrong = make_table(ROWS, Example).set_column(2, "split", [["train"] * 24 + ["dev"]])
    pq.write_table(wrong, path)
    table = open_rows(path, Example)
    assert table[23] == ROWS[23]
    with pytest.raises(DataError, match=r"rows\.parquet: not a table of Example rows"):
        table[24]


def test_rows_of_another_kind_are_refused(tmp_path: Path) -> None:
    write_rows(tmp_path / "x.parquet", [EXAMPLE], Example)
    with pytest.raises(DataError, match=r"x.parquet: not a table of Rejected rows"):
        read_rows(tmp_path / "x.parquet", Rejected)


def test_a_failed_write_leaves_the_old_file_and_no_rest(tmp_path: Path) -> None:
    path = tmp_path / "value.json"
    write_json(path, {"old": 1})
    with pytest.raises(RuntimeError), replace_file(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert read_json(path) == {"old": 1}
    assert [file.name for file in tmp_path.iterdir()] == ["value.json"]


def test_a_failed_folder_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "model"
    with replace_folder(path) as temporary:
        (temporary / "weights").write_text("old")
    with pytest.raises(RuntimeError), replace_folder(path) as temporary:
        (temporary / "weights").write_text("new")
        raise RuntimeError
    assert (path / "weights").read_text() == "old"
    assert [folder.name for folder in tmp_path.iterdir()] == ["model"]


@pytest.mark.parametrize(("content", "message"), [(None, "no such file"), ("{", "not JSON")])
def test_unreadable_json_names_the_file(tmp_path: Path, content: str | None, message: str) -> None:
    path = tmp_path / "manifest.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(DataError, match=f"manifest.json: {message}"):
        read_json(path)


def test_hash_does_not_depend_on_key_order() -> None:
    assert hash_json({"a": 1, "b": "é"}) == hash_json({"b": "é", "a": 1})
    assert hash_json({"a": 1}) != hash_json({"a": 2})


def test_references_split_as_they_were_made() -> None:
    box = ImageBox(1, 2, 30, 40)
    assert split_reference(crop_reference("ab", box)) == ("ab", box)
    assert split_reference("ab") == ("ab", None)
