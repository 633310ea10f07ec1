"""Pictures that one dataset lends to another, by the names of their files."""

from pathlib import Path

import pytest

from mmicl.errors import DataError
from mmicl.files import write_rows
from mmicl.images.names import NAMES, Lender, NamedPicture


def lend(folder: Path, *named: tuple[str, str]) -> Lender:
    rows = [NamedPicture(name=name, sha256=key, width=4, height=3, look="0") for name, key in named]
    write_rows(folder / NAMES, rows, NamedPicture)
    return Lender(folder)


def test_a_path_finds_what_lies_there_and_a_file_name_what_lies_anywhere(tmp_path: Path) -> None:
    lender = lend(tmp_path, ("train2014/a.jpg", "1"), ("val2014/b.jpg", "2"), ("c.jpg", "3"))
    for names, path, file in (
        (("train2014/a.jpg",), "1", "1"),
        (("images/a.jpg",), None, "1"),
        (("elsewhere/a.jpg", "val2014/b.jpg"), "2", "1"),
        (("d.jpg", "c.jpg"), "3", "3"),
        (("images/d.jpg",), None, None),
    ):
        found = lender.find_path(*names), lender.find_file(*names)
        assert [it and it.sha256 for it in found] == [path, file], names
    assert "2" in lender and "4" not in lender


def test_a_file_name_of_two_pictures_finds_none(tmp_path: Path) -> None:
    lender = lend(tmp_path, ("x/1.jpg", "1"), ("y/1.jpg", "2"), ("x/2.jpg", "3"), ("y/2.jpg", "3"))
    assert lender.find_file("images/1.jpg") is None
    same = lender.find_file("images/2.jpg")
    assert same is not None and same.sha256 == "3", "copies of one picture are that picture"


def test_a_folder_without_names_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="lends no pictures: it has no table of names"):
        Lender(tmp_path)
