"""A reader sees the old file or the whole new one."""

from pathlib import Path

import pytest

from mmicl.errors import DataError
from mmicl.files import (
    hash_file,
    hash_json,
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
