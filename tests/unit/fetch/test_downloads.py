"""The store and its journals, over a remote that lives in memory."""

import errno
import json
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mmicl.errors import DataError, ResourceError, TransientError, UserError
from mmicl.fetch import downloads, limits, partial
from mmicl.fetch.downloads import Store, download
from mmicl.fetch.partial import RemoteFile


class Memory:
    """Files that are read ten bytes at a time."""

    def __init__(self, workers: int, files: dict[str, bytes]) -> None:
        self.workers, self.files = workers, dict(files)
        self.asked: list[tuple[str, int]] = []
        self.failing: set[str] = set()
        self.extra = b""

    def list_files(self) -> Iterator[RemoteFile]:
        for name, content in self.files.items():
            yield RemoteFile(name, len(content), str(hash(content)), f"memory://{name}")

    def read(self, file: RemoteFile, start: int, end: int | None) -> Iterator[bytes]:
        self.asked.append((file.name, start))
        if file.name in self.failing:
            raise TransientError("broke off", where=file.origin)
        content = self.files[file.name][start:end] + self.extra
        for position in range(0, len(content), 10):
            yield content[position : position + 10]


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(partial, "PART", 100)
    monkeypatch.setattr(partial, "FIRST_PAUSE", 0.0)


def run(remote: Memory, folder: Path) -> dict[str, bytes]:
    store = Store(folder)
    entries = download(remote, store, uri="memory://", sha256=None)
    return {entry.name: store.path(entry.name).read_bytes() for entry in entries}


def test_many_files_in_many_threads(tmp_path: Path) -> None:
    files = {f"{number:03}": bytes([number]) * (number * 7) for number in range(60)}
    remote = Memory(4, files)
    assert run(remote, tmp_path) == files
    assert len(remote.asked) == sum(-(-len(content) // 100) for content in files.values())
    assert Store(tmp_path).is_complete()


def test_finished_files_do_not_come_again(tmp_path: Path) -> None:
    remote = Memory(1, {"a": b"a" * 50, "b": b"b" * 50})
    remote.failing = {"b"}
    with pytest.raises(TransientError):
        run(remote, tmp_path)
    assert not Store(tmp_path).is_complete()
    assert remote.asked == [("a", 0)] + [("b", 0)] * partial.TRIES
    remote.failing, remote.asked = set(), []
    assert run(remote, tmp_path) == remote.files
    assert remote.asked == [("b", 0)]


def test_half_a_line_of_a_journal_is_not_believed(tmp_path: Path) -> None:
    content = bytes(range(250)) * 5
    remote = Memory(1, {"a": content})
    (file,) = remote.list_files()
    store = Store(tmp_path)
    part = partial.PartialFile(store.path("a"), file)
    part.fetch_part(1, remote, limits.Budget())
    journal = tmp_path / "files" / "a.part.done"
    with journal.open("a") as stream:
        stream.write("1")  # of 12, say
    again = partial.PartialFile(store.path("a"), file)
    assert again.missing() == [0, *range(2, 13)]
    again.fetch_part(2, remote, limits.Budget())
    assert journal.read_text().splitlines()[1:] == ["1", "2"]
    with (tmp_path / "record.jsonl").open("w") as stream:
        stream.write('{"name": "a", "si')
    assert run(remote, tmp_path) == {"a": content}
    assert [json.loads(line)["name"] for line in (tmp_path / "record.jsonl").open()] == ["a"]


def test_parts_of_another_version_are_dropped(tmp_path: Path) -> None:
    remote = Memory(1, {"a": b"a" * 200})
    (file,) = remote.list_files()
    partial.PartialFile(tmp_path / "files" / "a", file).fetch_part(1, remote, limits.Budget())
    remote.files["a"] = b"b" * 200
    assert run(remote, tmp_path) == {"a": b"b" * 200}


def test_more_than_was_announced_is_refused(tmp_path: Path) -> None:
    remote = Memory(1, {"a": b"a" * 50})
    remote.extra = b"x"
    with pytest.raises(DataError, match="memory://a: the server sends more than it announced"):
        run(remote, tmp_path)


def test_one_failure_stops_the_other_threads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(partial, "FIRST_PAUSE", 300.0)  # they would wait for an hour
    monkeypatch.setattr(partial, "LONGEST_PAUSE", 300.0)
    waiting = threading.Event()

    class Refusing(Memory):
        def read(self, file: RemoteFile, start: int, end: int | None) -> Iterator[bytes]:
            if file.name == "b":
                assert waiting.wait(60)
                raise UserError("no right to read it", where=file.origin)
            waiting.set()
            return super().read(file, start, end)

    remote = Refusing(2, {"a": b"a" * 50, "b": b"b" * 50})
    remote.failing = {"a"}
    with pytest.raises(UserError, match="memory://b: no right to read it"):
        run(remote, tmp_path)


def test_what_does_not_fit_on_the_disk_is_said_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    remote = Memory(1, {"a": b"a" * 50})
    monkeypatch.setattr(shutil, "disk_usage", lambda _: type("Usage", (), {"free": 10}))
    with pytest.raises(ResourceError, match=r"memory://: needs 0\.0 GB, and 0\.0 are free; free"):
        run(remote, tmp_path)
    assert not remote.asked


def test_links_become_copies_where_links_cannot_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").write_bytes(b"a")
    downloads.link_file(tmp_path / "a", tmp_path / "folder" / "b")
    assert (tmp_path / "folder" / "b").samefile(tmp_path / "a")

    def refuse(*_: Any) -> None:
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    downloads.link_file(tmp_path / "a", tmp_path / "c")
    assert (tmp_path / "c").read_bytes() == b"a"
    assert not (tmp_path / "c").samefile(tmp_path / "a")
