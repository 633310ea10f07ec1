"""Pictures checked by other processes, ahead of their records: what is written is the same."""

import io
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mmicl.config import Launch, load_config
from mmicl.files import hash_file
from mmicl.images.ahead import Ahead, Checker
from mmicl.images.checks import Check, check_bytes, check_file, check_pixels
from mmicl.images.decoding import ImageError
from mmicl.launch.sharing import share_out
from mmicl.sources import Sharing, ahead

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(autouse=True)
def small_works(monkeypatch: pytest.MonkeyPatch) -> None:
    """Works of few pictures after few pictures, so that a small world has several."""
    monkeypatch.setattr(ahead, "SMALL", 5)
    monkeypatch.setattr(ahead, "WORK_PICTURES", 4)


@pytest.fixture
def launch() -> Launch:
    return load_config(ROOT / "profiles" / "tiny.yaml").launch


def share(launch: Launch, folder: Path, workers: int) -> Sharing:
    return Sharing(partial(share_out, launch.model_copy(update={"workers": workers})), folder)


def read_hashes(folder: Path) -> dict[str, str]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {path.relative_to(folder).as_posix(): hash_file(path) for path in files}


def damage(folder: Path) -> None:
    """Cut off every fifth picture or video, and let every seventh be a copy of another."""
    found = sorted(p for kind in ("jpg", "png", "mp4") for p in folder.rglob(f"*.{kind}"))
    for number, path in enumerate(found):
        if number % 5 == 3:
            path.write_bytes(path.read_bytes()[:150])
        elif number % 7 == 6:
            shutil.copy(found[0], path)


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("reader", ["coco_caption", "vcr", "nlvr2", "raven", "msrvtt_qa"])
def test_files_are_the_same_as_without(
    ingest: Callable[..., Any], world: Callable[..., Path], tmp_path: Path, launch: Launch,
    reader: str, workers: int,
) -> None:  # fmt: skip
    folder = world({"coco_caption": "coco"}.get(reader, reader))
    damage(folder)
    alone = ingest(reader, folder, limit=1.0, out="alone")
    sharing = share(launch, tmp_path / "works", workers)
    shared = ingest(reader, folder, limit=1.0, out="shared", sharing=sharing)
    assert read_hashes(shared.out) == read_hashes(alone.out)
    assert reader == "raven" or alone.manifest["quarantined"]
    assert sharing.works >= 3
    assert sharing.taken_up == 0
    assert not sharing.folder.exists()


def test_pictures_are_checked_once_and_in_other_processes(
    ingest: Callable[..., Any], world: Callable[..., Path], tmp_path: Path, launch: Launch,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    log, run = tmp_path / "log", Ahead.run

    def note(self: Ahead, check: Check) -> Any:
        if check.name not in self._found:
            with log.open("a") as stream:
                stream.write(f"{check.name}\n")
        return run(self, check)

    monkeypatch.setattr(Ahead, "run", note)
    folder = world("vqav2")  # several questions a picture
    found = ingest("vqav2", folder, sharing=share(launch, tmp_path / "works", 2))
    assert len(log.read_text().splitlines()) == 5 < found.manifest["images"]


def test_a_small_dataset_opens_nothing(
    ingest: Callable[..., Any], world: Callable[..., Path], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    def refuse() -> Any:
        raise AssertionError("opened")

    monkeypatch.setattr(ahead, "SMALL", 100_000)
    ingest("coco_caption", world("coco"), sharing=Sharing(refuse, tmp_path / "works"))


def test_records_without_new_pictures_go_on_in_order(
    ingest: Callable[..., Any], world: Callable[..., Path], tmp_path: Path, launch: Launch,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(ahead, "WORK_RECORDS", 2)
    folder = world("pope")
    alone = ingest("pope", folder, out="alone")
    sharing = share(launch, tmp_path / "works", 2)
    shared = ingest("pope", folder, out="shared", sharing=sharing)
    assert read_hashes(shared.out) == read_hashes(alone.out)
    assert sharing.taken_up == 0, "a work without pictures is none"


def encode(shade: int, mode: str = "RGB") -> bytes:
    stream = io.BytesIO()
    Image.new(mode, (9, 9), shade).save(stream, "PNG")
    return stream.getvalue()


def test_a_finished_work_is_not_done_again(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(encode(1))
    checks = [
        check_file(tmp_path / "a.png"), check_bytes(encode(2), "b"),
        check_bytes(b"no picture", "c"), check_bytes(encode(3, "P"), "d"),
        check_pixels(np.full((5, 4), 7, np.uint8)),
    ]  # fmt: skip
    done = Checker(tmp_path / "works")(checks)
    assert done.path is not None
    assert not done.earlier
    before = done.path.stat().st_mtime_ns
    again = Checker(tmp_path / "works")(checks)
    assert again.earlier
    assert done.path.stat().st_mtime_ns == before
    found = Ahead()
    found.load(again)
    never = [Check(one.name, refuse_run, one.official) for one in checks]
    for place in (0, 1, 3, 4):
        assert found.run(never[place]) == checks[place].run()
    with pytest.raises(ImageError, match="c: not a JPEG, PNG or WebP picture") as caught:
        found.run(never[2])
    assert caught.value.reason == "unknown_format"


def refuse_run() -> Any:
    raise AssertionError("checked again")


def test_a_file_that_changed_since_is_checked_again(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(encode(1))
    check = check_file(path)
    found = Ahead()
    found.load(Checker(tmp_path / "works")([check]))
    path.write_bytes(encode(2))
    assert found.run(check) == check.run(), "though the work is by the name of then"
    assert not Checker(tmp_path / "works")([check_file(path)]).earlier


def test_a_damaged_work_is_as_none(tmp_path: Path) -> None:
    check = check_bytes(encode(1), "a")
    done = Checker(tmp_path / "works")([check])
    assert done.path is not None
    done.path.write_bytes(done.path.read_bytes()[:200])
    found = Ahead()
    found.load(done)
    assert found.run(check) == check.run()
