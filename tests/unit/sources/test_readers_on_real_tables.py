"""Readers against real tables of questions whose pictures and videos are stand-ins.

Only the first records get a picture; all others must be quarantined for the lack of one.
"""

import csv
import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from mmicl.errors import DataError
from mmicl.files import hash_file

FEW = 40


def first_lines(source: Path, target: Path, count: int) -> list[dict[str, str]]:
    """Copy a csv file's first rows as they are, and parse them."""
    target.parent.mkdir(parents=True, exist_ok=True)
    lines = source.read_text(encoding="utf-8").splitlines(keepends=True)[: count + 1]
    target.write_text("".join(lines), encoding="utf-8")
    return list(csv.DictReader(lines))


def first_questions(folder: Path, out: Path) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Copy the real files of VQA's form, with twice FEW questions; the pairs."""
    out.mkdir()
    tables = {}
    for section in ("questions", "annotations"):
        name = f"val_{section}_vqa_format.json"
        tables[section] = json.loads((folder / name).read_text())[section][: 2 * FEW]
        (out / name).write_text(json.dumps({section: tables[section]}))
    return list(zip(tables["questions"], tables["annotations"], strict=True))


@pytest.mark.parametrize("name", ["textvqa", "vizwiz"])
def test_vqa_form(name: str, shared_data: Path, tmp_path: Path, ingest, paint) -> None:
    folder = tmp_path / name
    pairs = first_questions(shared_data / name, folder)
    suffix = ".jpg" if name == "textvqa" else ""
    shown = {question["image_id"] for question, _ in pairs[:FEW]}
    paint(folder, *(f"images/{image}{suffix}" for image in shown))
    result = ingest(name, folder, limit=0.6)
    rows = {json.loads(row.meta)["question_id"]: row for row in result.examples}
    for question, annotation in pairs:
        if question["image_id"] not in shown:
            continue
        row = rows.pop(question["question_id"])
        said = [" ".join(one["answer"].split()) for one in annotation["answers"]]
        assert row.question == " ".join(question["question"].split())
        assert row.answers == tuple(one["answer"] for one in annotation["answers"])
        assert said.count(row.target) == max(Counter(filter(None, said)).values())
        assert row.split == "val"
    assert not rows
    assert result.manifest["quarantined"] == {"missing_image": 2 * FEW - len(result.examples)}
    assert result.manifest["images"] == len(shown)


def test_okvqa_questions_without_their_annotations(shared_data: Path, ingest) -> None:
    with pytest.raises(DataError, match=r"9009 of 9009 .*missing_annotation.*mscoco_train2014_ann"):
        ingest("okvqa", shared_data / "okvqa", limit=0.9)


def test_nextqa_options(shared_data: Path, tmp_path: Path, ingest, film) -> None:
    rows = first_lines(shared_data / "nextqa" / "val.csv", tmp_path / "nextqa" / "val.csv", 6)
    seen = rows[:3]
    film(tmp_path / "nextqa", *(f"videos/{row['video']}.mp4" for row in seen))
    result = ingest("nextqa", tmp_path / "nextqa", limit=0.6)
    examples = {row.id.rpartition("/")[2]: row for row in result.examples}
    for row in seen:
        example = examples[f"{row['video']}_{row['qid']}"]
        assert example.choices == tuple(row[f"a{place}"] for place in range(5))
        assert example.target == row[f"a{row['answer']}"]
        assert (example.task, len(example.images), example.split) == ("video_choice", 8, "val")
    assert set(result.manifest["quarantined"]) == {"missing_video"}


def test_nextqa_numbers_of_options_are_no_open_answers(shared_data: Path, ingest) -> None:
    with pytest.raises(DataError, match=r"val\.csv: is of the multiple-choice release"):
        ingest("nextqa_open", shared_data / "nextqa")


def test_msvd_qa(shared_data: Path, tmp_path: Path, ingest, film) -> None:
    rows = first_lines(shared_data / "msvd_qa" / "val.csv", tmp_path / "msvd" / "val.csv", 20)
    videos = Counter(row["video"] for row in rows)
    shared = rows[0]["video"]
    film(tmp_path / "msvd", f"videos/vid{shared}.mp4")
    result = ingest("msvd_qa", tmp_path / "msvd", limit=0.99)
    assert len(result.examples) == videos[shared] > 1
    assert {row.group for row in result.examples} == {f"msvd-{shared}"}
    assert [row.target for row in result.examples[:2]] == ["someone", "man"]


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
    tables = folder.glob("*/*/dataset.csv")
    assert len(result.examples) == sum(len(first_rows(path)) for path in tables) == 20
    assert result.manifest["images"] == len({row.group for row in result.examples})
    for row in result.examples:
        meta = json.loads(row.meta)
        website = folder / meta["domain"] / meta["id"][2:4]
        page = website / "processed_data" / f"{meta['id'][2:9]}.png"
        assert row.images == (hash_file(page),)
    assert '190.7 "' in {row.target for row in result.examples}


def first_rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_websrc_splits_whole_websites(shared_data: Path, tmp_path: Path, ingest) -> None:
    folder = Path(shutil.copytree(shared_data / "websrc", tmp_path / "websrc"))
    folder.chmod(0o755)
    (folder / "dataset_split.json").write_text('{"dev": ["au03"], "test": ["bo01"]}')
    result = ingest("websrc", folder)
    assert result.manifest["splits"] == {"train": 10, "val": 5, "test": 5}
    assert {row.group for row in result.of("test")} == {"websrc-bo0100001"}


def test_llava_bench(shared_data: Path, tmp_path: Path, ingest, paint) -> None:
    folder = tmp_path / "llava"
    folder.mkdir()
    name = "coco2014_val_gpt4_qa_30x3.jsonl"
    lines = (shared_data / "llava" / name).read_text().splitlines()[:6]
    (folder / name).write_text("\n".join(lines) + "\n")
    first = json.loads(lines[0])
    paint(folder, f"val2014/{first['image']}")
    result = ingest("llava", folder, limit=0.6)
    assert [row.id for row in result.examples] == [
        f"llava/test/{first['id']}-{kind}" for kind in ("conv", "detail", "complex")
    ]
    assert {row.group for row in result.examples} == {f"coco-{int(first['id'])}"}
    assert result.examples[0].question == first["instruction"]
    assert result.examples[0].target == first["output"]


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
