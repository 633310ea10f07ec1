"""Readers against some rows of real tables, whose pictures and videos are stand-ins or missing."""

import csv
import json
import shutil
from pathlib import Path

import pytest

from mmicl.errors import DataError
from mmicl.files import hash_file


def first_lines(source: Path, target: Path, count: int) -> list[dict[str, str]]:
    """Copy a csv file's first rows as they are, and parse them."""
    target.parent.mkdir(parents=True, exist_ok=True)
    lines = source.read_text(encoding="utf-8").splitlines(keepends=True)[: count + 1]
    target.write_text("".join(lines), encoding="utf-8")
    return list(csv.DictReader(lines))


def test_nextqa_numbers_of_options_are_no_open_answers(shared_data: Path, ingest) -> None:
    with pytest.raises(DataError, match=r"val\.csv: is of the multiple-choice release"):
        ingest("nextqa_open", shared_data / "nextqa")


def test_msvd_qa_takes_the_official_avi_and_quarantines_a_truncated_one(
    shared_data: Path, tmp_path: Path, ingest, film
) -> None:
    folder = tmp_path / "msvd"
    rows = first_lines(shared_data / "msvd_qa" / "val.csv", folder / "val.csv", 60)
    whole, cut = list(dict.fromkeys(row["video"] for row in rows))[:2]
    film(folder, f"videos/vid{whole}.avi", f"videos/vid{cut}.avi")
    path = folder / f"videos/vid{cut}.avi"
    path.write_bytes(path.read_bytes().partition(b"idx1")[0][:-40])
    result = ingest("msvd_qa", folder, limit=0.99, frames=4)
    assert {row.group for row in result.examples} == {f"msvd-{whole}"}
    assert all(len(set(row.images)) == 4 for row in result.examples)
    (reason,) = {row.reason for row in result.rejected if row.reason != "missing_video"}
    details = {row.detail for row in result.rejected if row.reason == reason}
    assert reason == "truncated_video"
    assert all(f"vid{cut}.avi" in line and "\n" not in line for line in details)


def test_websrc_answers_are_words_of_real_pages(shared_data: Path, ingest) -> None:
    folder = shared_data / "websrc"
    result = ingest("websrc", folder)
    asked = {row["id"]: row for path in folder.glob("*/*/dataset.csv") for row in read_rows(path)}
    assert len(result.examples) == len(asked) == 20
    assert result.manifest["images"] == len({row.group for row in result.examples})
    for row in result.examples:
        meta = json.loads(row.meta)
        website = folder / meta["domain"] / meta["id"][2:4]
        page = website / "processed_data" / f"{meta['id'][2:9]}.png"
        assert row.images == (hash_file(page),)
        official = asked[meta["id"]]
        texts = (official["question"], official["answer"])
        assert (row.question, row.target) == tuple(" ".join(text.split()) for text in texts)
    assert '190.7 "' in {row.target for row in result.examples}


def read_rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_websrc_splits_whole_websites(shared_data: Path, tmp_path: Path, ingest) -> None:
    folder = Path(shutil.copytree(shared_data / "websrc", tmp_path / "websrc"))
    folder.chmod(0o755)
    (folder / "dataset_split.json").write_text('{"dev": ["au03"], "test": ["bo01"]}')
    result = ingest("websrc", folder)
    assert result.manifest["splits"] == {"train": 10, "val": 5, "test": 5}
    assert {row.group for row in result.of("test")} == {"websrc-bo0100001"}


def test_mini_imagenet(shared_data: Path, tmp_path: Path, ingest, paint) -> None:
    folder = tmp_path / "mini"
    rows = first_lines(shared_data / "mini_imagenet" / "val.csv", folder / "val.csv", 4)
    paint(folder, *(f"images/{row['filename']}" for row in rows[:2]))
    paint(folder, f"val/{rows[2]['label']}/{rows[2]['filename']}")
    with pytest.raises(DataError, match="no list of class names"):
        ingest("mini_imagenet", folder)
    label = rows[0]["label"]
    (folder / "LOC_synset_mapping.txt").write_text(f"{label} goldfish, Carassius auratus\n")
    result = ingest("mini_imagenet", folder, limit=0.3)
    assert {row.target for row in result.examples} == {"goldfish"}
    assert result.examples[0].answers == ("goldfish", "Carassius auratus")
    assert len(result.examples) == 3
    (folder / "LOC_synset_mapping.txt").write_text("n00000001 nothing\n")
    with pytest.raises(DataError, match="unknown_class"):
        ingest("mini_imagenet", folder)


def test_websrc_test_rows_have_no_answers(official, ingest, paint) -> None:
    rows = "question,id\nWhat is it?,bo010000100000\n"
    folder = official(
        {
            "book/01/dataset.csv": rows,
            "auto/02/dataset.csv": rows.replace("bo01", "au02"),
            "dataset_split.json": {"dev": [], "test": ["bo01"]},
        }
    )
    paint(folder, "book/01/processed_data/0100001.png", "auto/02/processed_data/0200001.png")
    with pytest.raises(DataError, match=r"1 of 1 records .*malformed.*answer"):
        ingest("websrc", folder, limit=0.5)
