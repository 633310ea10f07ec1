"""MME: pairs of questions as the files have them, both layouts, and broken texts."""

import json
from pathlib import Path

import pytest

from mmicl.benchmarks.scorers.mme import COGNITION, PERCEPTION
from mmicl.sources.mme import SUBTASKS


def texts(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.txt"))


def test_the_reader_knows_the_official_subtasks() -> None:
    assert (*PERCEPTION, *COGNITION) == SUBTASKS


def test_both_questions_of_a_picture(world, ingest) -> None:
    folder = world("mme", 8)
    result = ingest("mme", folder)
    assert len(result.of("test")) == len(result.examples) == 16
    rows = {row.id: row for row in result.examples}
    for path in texts(folder):
        for number, line in enumerate(path.read_text().splitlines()):
            question, label = line.split("\t")
            row = rows[f"mme/test/{path.parent.name}-{path.stem}-{number}"]
            assert (row.question, row.target) == (question, label.lower())
            assert row.group == f"coco-{int(path.stem)}"
            assert json.loads(row.meta) == {
                "subtask": path.parent.name, "image": f"{path.stem}.jpg",
            }  # fmt: skip
            encoded = path.with_suffix(".jpg").read_bytes()
            assert result.store.encoded(row.images[0]) == encoded


def test_photos_that_another_dataset_has_are_borrowed_and_others_stored(world, ingest) -> None:
    coco, folder = world("coco", 16), world("mme", 8)
    lender = ingest("coco_caption", coco, out="lender")
    photo, *_ = sorted((coco / "train2017").iterdir())
    pictures = [path.with_suffix(".jpg") for path in texts(folder)]
    # MME's copy of COCO's photo, and another photo under a name that COCO has too.
    pictures[0].write_bytes(photo.read_bytes())
    foreign = pictures[1].with_name(photo.name)
    pictures[1].rename(foreign)
    pictures[1].with_suffix(".txt").rename(foreign.with_suffix(".txt"))
    result = ingest("mme", folder, lender=lender.out / "images")
    assert (result.manifest["images"], result.manifest["borrowed"]) == (8, 1)
    assert len(result.store) == 7
    rows = {row.id: row for row in result.examples}
    own = rows[f"mme/test/{foreign.parent.name}-{foreign.stem}-0"]
    assert result.store.encoded(own.images[0]) == foreign.read_bytes()


def test_subtasks_that_keep_texts_and_pictures_apart(world, ingest) -> None:
    folder = world("mme", 8)
    poster = folder / "posters"
    (folder / "count").rename(poster)
    for kind, suffix in (("images", ".jpg"), ("questions_answers_YN", ".txt")):
        (poster / kind).mkdir()
        for path in sorted(poster.glob(f"*{suffix}")):
            path.rename(poster / kind / f"tt{path.stem[-4:]}{suffix}")
    (folder / "eval_tool").mkdir()
    (folder / "eval_tool" / "existence.txt").write_text("of the tool, no sub-task")
    (poster / "images" / "other.jpg").write_bytes(b"nobody asks about this one")
    result = ingest("mme", folder)
    assert result.manifest["unused"] == {"pictures without questions": 1}
    own = [row for row in result.examples if json.loads(row.meta)["subtask"] == "posters"]
    assert len(own) == 4
    assert {row.group for row in own} == {"mme-posters-tt0002", "mme-posters-tt0006"}
    assert {json.loads(row.meta)["image"] for row in own} == {"tt0002.jpg", "tt0006.jpg"}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"Is it red?\tYes\n", "malformed"),
        (b"Is it red?\tYes\nIs it blue?\tNo\nIs it green?\tNo\n", "malformed"),
        (b"Is it red? Yes\nIs it blue?\tNo\n", "malformed"),
        (b"Is it red?\tYes\nIs it blue?\tMaybe\n", "malformed"),
        (b"Is it red?\tYes\nIs it blue?\tno\n", "malformed"),
        (b"Is it red?\tYes\nIs it red?\tNo\n", "malformed"),
        (b"Is it red?\tYes\n \tNo\n", "empty_text"),
        (b"Is it <image0>?\tYes\nIs it blue?\tNo\n", "reserved_token"),
        (b"Is it \xff?\tYes\nIs it blue?\tNo\n", "malformed"),
        (b"", "malformed"),
    ],
)
def test_a_broken_text_rejects_its_picture(world, ingest, text: bytes, reason: str) -> None:
    folder = world("mme", 8)
    broken = texts(folder)[0]
    broken.write_bytes(text)
    result = ingest("mme", folder, limit=0.2)
    (row,) = result.rejected
    assert (row.reason, row.file) == (reason, broken.relative_to(folder).as_posix())
    assert len(result.examples) == 14


def test_windows_line_ends_and_blank_lines_are_no_fault(world, ingest) -> None:
    folder = world("mme", 8)
    first = texts(folder)[0]
    first.write_bytes(b"\xef\xbb\xbfIs it red?\tYes \r\n\r\nIs it blue?\tNo\r\n")
    result = ingest("mme", folder)
    own = [row for row in result.examples if first.stem in row.id]
    assert [(row.question, row.target) for row in own] == [
        ("Is it red?", "yes"), ("Is it blue?", "no"),
    ]  # fmt: skip


def test_missing_damaged_and_foreign_files(world, ingest, tmp_path: Path) -> None:
    folder = world("mme", 12)
    first, second, third, *_ = texts(folder)
    first.with_suffix(".jpg").unlink()
    picture = second.with_suffix(".jpg")
    picture.write_bytes(picture.read_bytes()[:-200])
    secret = Path(third.rename(tmp_path / "secret.txt"))
    third.symlink_to(secret)
    result = ingest("mme", folder, limit=0.3)
    assert {row.file: row.reason for row in result.rejected} == {
        first.relative_to(folder).as_posix(): "missing_image",
        second.relative_to(folder).as_posix(): "truncated_image",
        third.relative_to(folder).as_posix(): "path_outside",
    }
    assert len(result.examples) == 18
