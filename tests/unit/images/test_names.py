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


def find(lender: Lender, *names: str) -> str | None:
    found = lender.find(*names)
    return found and found.sha256


def test_a_path_comes_before_a_file_name_and_the_first_place_first(tmp_path: Path) -> None:
    lender = lend(tmp_path, ("train2014/a.jpg", "1"), ("val2014/b.jpg", "2"), ("c.jpg", "3"))
    assert find(lender, "train2014/a.jpg") == "1"
    assert find(lender, "images/a.jpg") == "1"
    assert find(lender, "elsewhere/a.jpg", "val2014/b.jpg") == "2"
    assert find(lender, "a.jpg", "c.jpg") == "3", "whole paths come first"
    assert find(lender, "images/d.jpg", "d.jpg") is None
    assert "2" in lender and "4" not in lender


def test_a_file_name_of_two_pictures_finds_none(tmp_path: Path) -> None:
    lender = lend(tmp_path, ("x/1.jpg", "1"), ("y/1.jpg", "2"), ("x/2.jpg", "3"), ("y/2.jpg", "3"))
    assert find(lender, "images/1.jpg") is None
    assert find(lender, "y/1.jpg") == "2"
    assert find(lender, "images/2.jpg") == "3", "copies of one picture are that picture"


def test_a_folder_without_names_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="lends no pictures: it has no table of names"):
        Lender(tmp_path)
