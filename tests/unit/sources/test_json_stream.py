"""Official JSON files entry by entry, with errors that name the file."""

import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from mmicl.sources.json_stream import JsonError, stream_array, stream_list, stream_object

DEEP: dict[str, Any] = {
    "info": {"entries": [1]},
    "entries": [{"id": 1, "box": [0.5, 2]}, {"id": 2, "entries": [{"id": 3}]}],
    "data": {"texts": ["a", "é", "\U0001f600"], "none": []},
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "table.json"
    path.write_text(json.dumps(DEEP), encoding="utf-8")
    return path


def test_a_list_gives_its_own_entries_as_json_reads_them(file: Path) -> None:
    assert list(stream_list(file, "entries")) == DEEP["entries"]
    assert list(stream_list(file, "data.texts")) == DEEP["data"]["texts"]
    assert [type(number) for number in next(stream_list(file, "entries"))["box"]] == [float, int]


def test_an_empty_list_is_not_a_missing_one(file: Path) -> None:
    assert list(stream_list(file, "data.none")) == []
    assert list(stream_list(file, "categories", optional=True)) == []
    for missing in ("categories", "info", "data.entries"):
        with pytest.raises(JsonError, match=f"has no list '{missing}'"):
            list(stream_list(file, missing))


def test_an_object_gives_keys_and_entries(file: Path, tmp_path: Path) -> None:
    assert dict(stream_object(file)) == DEEP
    path = tmp_path / "list.json"
    path.write_text(" [1]")
    with pytest.raises(JsonError, match="is no object"):
        list(stream_object(path))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b'{"a": [1, 2', "not JSON"),
        (b'{"a": [1]} x', "not JSON .*trailing garbage"),
        (b'{"a": ["\xff"]}', "not JSON .*UTF8"),
        (b"", "not JSON"),
        ('{"a": [1]}'.encode("utf-16"), "is in UTF-16 or UTF-32"),
    ],
)
def test_what_is_no_json_is_said_in_one_line(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "bad.json"
    path.write_bytes(data)
    with pytest.raises(JsonError, match=message) as caught:
        list(stream_list(path, "a"))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "refused"),
    [
        (r"\ud83d\ude00", False), (r"\\ud800", False), (r"\ud800", True), (r"\ud83d \ude00", True),
        (r"\uDE00", True), (r"\u00e9", False),
    ],
)  # fmt: skip
def test_half_a_surrogate_pair_is_refused_and_never_read_as_something_else(
    tmp_path: Path, text: str, refused: bool
) -> None:
    path = tmp_path / "table.json"
    path.write_text(f'{{"a": ["{text}"]}}')
    if refused:
        with pytest.raises(JsonError, match="half a surrogate pair at byte"):
            list(stream_list(path, "a"))
    else:
        assert list(stream_list(path, "a")) == json.loads(path.read_text())["a"]


def test_an_optional_list_that_is_none_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "table.json"
    path.write_text('{"categories": {"id": 1}}')
    with pytest.raises(JsonError, match="has no list 'categories'"):
        list(stream_list(path, "categories", optional=True))


def test_a_byte_order_mark_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "marked.json"
    path.write_bytes(b"\xef\xbb\xbf" + b'[{"id": 1}]')
    assert list(stream_array(path)) == [{"id": 1}]


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    path = tmp_path / "long.json"
    entry = json.dumps({"answers": [{"answer": f"{n} cats"} for n in range(10)]})
    with path.open("w") as stream:
        stream.write('{"annotations": [' + ",".join([entry] * 20_000) + "]}")
    assert path.stat().st_size > 4_000_000
    tracemalloc.start()
    count = sum(1 for _ in stream_list(path, "annotations"))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == 20_000
    assert peak < 2_000_000
