"""`mmicl caption` over shards: what is kept, what is read, what is refused, what goes on."""

import io
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from transformers import AutoTokenizer, BlipForImageTextRetrieval
from transformers.models.blip.image_processing_pil_blip import BlipImageProcessorPil
from web_shards import (
    Job,
    Row,
    embed_pictures,
    make_row,
    paint,
    read_files,
    read_table,
    write_plain,
    write_shard,
)

from mmicl.captioning.options import CAPTIONER, MATCHER
from mmicl.captioning.shards import ADDED
from mmicl.errors import DataError
from mmicl.files import read_rows
from mmicl.records import Example
from mmicl.sources import EXAMPLES, READERS, ingest_dataset

MMICL = Path(sys.executable).parent / "mmicl"
ROOT = Path(__file__).resolve().parents[3]


def ingest(reader: str, shards: Path, out: Path) -> tuple[dict[str, Any], dict[str, Example]]:
    """Manifest and Examples, by their ids within the split, of a web-scale reader."""
    manifest = ingest_dataset(
        READERS[reader], shards, out / "examples", out / "images", name=reader,
        max_quarantined=0.9, resplit=None, quarantine=out / "quarantine",
    )  # fmt: skip
    rows = read_rows(out / "examples" / EXAMPLES, Example)
    return manifest, {row.id.split("/", 2)[2]: row for row in rows}


def rank_plainly(checkpoint: str, row: Row) -> str:
    """The text with the largest probability of a match, each asked for alone."""
    model = BlipForImageTextRetrieval.from_pretrained(checkpoint).eval()
    tokenizer: Any = AutoTokenizer.from_pretrained(checkpoint)
    image = Image.open(io.BytesIO(paint(int(row["key"])))).convert("RGB")
    processor = BlipImageProcessorPil.from_pretrained(checkpoint)
    pixels = processor(image, return_tensors="pt")["pixel_values"]
    odds = {}
    for text in [row["web_caption"], *row["synthetic_captions"]]:
        words = tokenizer(text, truncation=True, max_length=35, return_tensors="pt")
        with torch.no_grad():
            logits = model(**words, pixel_values=pixels).itm_score[0].double()
        odds[text] = float(logits[1] - logits[0])
    return max(odds, key=odds.__getitem__)


# --- what is kept --------------------------------------------------------------------------------


def test_the_best_by_matching_is_kept(
    tmp_path: Path, caption: Job, checkpoints: dict[str, str]
) -> None:
    source, out = write_plain(tmp_path / "web", shards=2, pictures=10), tmp_path / "out"
    counts = caption(source, out)
    rows = [row for name in ("00000", "00001") for row in read_table(out, name)]
    assert [row["caption"] for row in rows] == [
        rank_plainly(checkpoints["matcher"], row) for row in rows
    ]
    origins = Counter(row["caption_origin"] for row in rows)
    assert set(origins) == {"web", "synthetic"}, "either must win somewhere, or nothing is compared"
    assert counts == {
        "shards": 2, "done_before": 0, "rows": 20, "web": origins["web"],
        "synthetic": origins["synthetic"], "without_picture": 0, "without_web_text": 0,
    }  # fmt: skip
    for row in rows:
        assert len(row["synthetic_scores"]) == len(row["synthetic_captions"]) == 4
        best = max([row["web_score"], *row["synthetic_scores"]])
        at = [row["web_caption"], *row["synthetic_captions"]].index(row["caption"])
        assert best == [row["web_score"], *row["synthetic_scores"]][at]
        assert row["captioner"].startswith("captioner@sha256:")
        assert row["matcher"].startswith("matcher@sha256:")


def test_readers_read_the_result_as_they_read_the_source(tmp_path: Path, caption: Job) -> None:
    source, out = write_plain(tmp_path / "web" / "part-1"), tmp_path / "out"
    caption(source.parent, out)
    before_manifest, before = ingest("cc12m", source.parent, tmp_path / "before")
    after_manifest, after = ingest("cc12m", out, tmp_path / "after")
    assert before_manifest == after_manifest
    table = [row for n in range(3) for row in read_table(out / "part-1", f"{n:05d}")]
    assert [row.target for row in after.values()] == [row["caption"] for row in table]
    for id, example in after.items():
        changed = {"target", "answers"}
        assert example.model_dump(exclude=changed) == before[id].model_dump(exclude=changed)


def test_the_sources_columns_stay_and_the_tar_is_a_link(tmp_path: Path, caption: Job) -> None:
    source, out = write_plain(tmp_path / "web", shards=1), tmp_path / "out"
    caption(source, out)
    names = pq.read_schema(source / "00000.parquet").names
    assert pq.read_schema(out / "00000.parquet").names == [*names, *ADDED.names]
    for before, after in zip(read_table(source, "00000"), read_table(out, "00000"), strict=True):
        assert after["web_caption"] == before.pop("caption")
        assert {key: after[key] for key in before} == before
    assert (out / "00000.tar").samefile(source / "00000.tar")


def test_tables_with_pictures_are_shards_too(tmp_path: Path, caption: Job) -> None:
    tars, tables = write_plain(tmp_path / "tars"), embed_pictures(write_plain(tmp_path / "tables"))
    pq.write_table(pq.read_table(tars / "00000.parquet").select(["url"]), tables / "list.parquet")
    assert caption(tars, tmp_path / "of-tars") == caption(tables, tmp_path / "of-tables")
    for name in ("00000", "00001", "00002"):
        rows, pictures = read_table(tmp_path / "of-tables", name), read_table(tables, name)
        assert [row.pop("jpg") for row in rows] == [row["jpg"] for row in pictures]
        assert rows == read_table(tmp_path / "of-tars", name)
    assert {path.name for path in (tmp_path / "of-tables").iterdir()} == {
        f"0000{n}{suffix}" for n in range(3) for suffix in (".parquet", ".captions.json")
    }
    assert caption(tables, tmp_path / "of-tables")["done_before"] == 3
    _, of_tars = ingest("cc12m", tmp_path / "of-tars", tmp_path / "first")
    _, of_tables = ingest("cc12m", tmp_path / "of-tables", tmp_path / "second")
    assert of_tables == of_tars


def test_a_tar_is_copied_to_another_file_system(tmp_path: Path, caption: Job) -> None:
    memory = Path("/dev/shm")  # noqa: S108
    if not memory.is_dir() or memory.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("no second file system here")
    source = write_plain(tmp_path / "web", shards=1, pictures=2)
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        caption(source, Path(folder) / "out")
        copied = Path(folder) / "out" / "00000.tar"
        assert copied.read_bytes() == (source / "00000.tar").read_bytes()
        assert not copied.samefile(source / "00000.tar")


def write_faulty(folder: Path) -> None:
    """One row of each fault, between sound ones."""
    painted = {key: paint(key) for key in range(10)}
    rows = [make_row(key, data) for key, data in painted.items()]
    rows[1].update(status="failed_to_download", sha256=None)
    rows[2]["caption"] = None
    rows[3]["caption"] = "  "
    rows[4]["caption"] = "see <image0>"
    painted[6] = painted[6][:-20]
    painted[7] = b"<html>"
    rows[8]["sha256"] = "0" * 64
    write_shard(folder, "00000", rows, {f"{key:09d}": painted[key] for key in (0, *range(2, 9))})
    changed = read_table(folder, "00000")
    changed[8]["sha256"] = "f" * 64
    pq.write_table(pq.read_table(folder / "00000.parquet").from_pylist(changed),
                   folder / "00000.parquet")  # fmt: skip


def test_no_row_is_lost(tmp_path: Path, caption: Job) -> None:
    source, out = tmp_path / "web", tmp_path / "out"
    write_faulty(source)
    counts = caption(source, out)
    assert counts["rows"] == 10
    assert counts["without_picture"] == 1
    assert counts["without_web_text"] == 3
    errors = {key: value for key, value in counts.items() if key.startswith("error_")}
    assert errors == {
        "error_truncated_image": 1, "error_unknown_format": 1, "error_digest": 1,
        "error_missing_image": 1,
    }  # fmt: skip
    settled = counts["web"] + counts["synthetic"] + counts["without_picture"]
    assert settled + sum(errors.values()) == counts["rows"]
    before, after = read_table(source, "00000"), read_table(out, "00000")
    for old, new in zip(before, after, strict=True):
        assert (new["key"], new["status"]) == (old["key"], old["status"])
        assert new["web_caption"] == old["caption"]
    for place in (1, 6, 7, 8, 9):
        assert after[place]["caption"] == before[place]["caption"]
        assert after[place]["caption_origin"] is after[place]["synthetic_captions"] is None
    assert after[6]["caption_error"].startswith("truncated_image: ")
    assert after[1]["caption_error"] is None
    for place in (2, 3, 4):
        assert after[place]["caption_origin"] == "synthetic"
        assert after[place]["web_score"] is None
    _, was = ingest("sbu", source, tmp_path / "before")
    manifest, now = ingest("sbu", out, tmp_path / "after")
    assert {*now} == {*was} | {f"00000-{place:09d}" for place in (2, 3, 4)}
    assert manifest["quarantined_total"] == 4


def test_a_shard_without_rows(tmp_path: Path, caption: Job) -> None:
    row = make_row(1, paint(1), status="failed_to_download")
    write_shard(tmp_path / "web", "00000", [row], {})
    table = pq.read_table(tmp_path / "web" / "00000.parquet")
    pq.write_table(table.slice(0, 0), tmp_path / "web" / "00000.parquet")
    assert caption(tmp_path / "web", tmp_path / "out")["rows"] == 0
    assert pq.read_schema(tmp_path / "out" / "00000.parquet").names[-8:] == ADDED.names


# --- what it depends on --------------------------------------------------------------------------


def captions_of(out: Path) -> list[tuple[str, list[str]]]:
    rows = [row for path in sorted(out.glob("*.tar")) for row in read_table(out, path.stem)]
    return [(row["caption"], row["synthetic_captions"]) for row in rows]


def test_batches_change_nothing_and_the_seed_does(tmp_path: Path, caption: Job) -> None:
    source = write_plain(tmp_path / "web", shards=1, pictures=4)
    for size in (1, 3):
        caption(source, tmp_path / f"by-{size}", batch_size=size)
        assert captions_of(tmp_path / f"by-{size}") == captions_of(tmp_path / "by-1")
    caption(source, tmp_path / "seed", seed=1)
    drawn = [own for _, own in captions_of(tmp_path / "seed")]
    assert drawn != [own for _, own in captions_of(tmp_path / "by-1")]


def test_parts_partition_the_shards(tmp_path: Path, caption: Job) -> None:
    source = write_plain(tmp_path / "web", shards=5, pictures=1)
    parts = []
    for part in range(1, 4):
        caption(source, tmp_path / f"part-{part}", part=f"{part}/3")
        parts.append(read_files(tmp_path / f"part-{part}"))
    assert [len(part) for part in parts] == [6, 6, 3], "three files a shard"
    caption(source, tmp_path / "whole")
    assert parts[0] | parts[1] | parts[2] == read_files(tmp_path / "whole")
    assert len(read_files(tmp_path / "whole")) == 15


def test_a_done_shard_is_left_alone(tmp_path: Path, caption: Job) -> None:
    source, out = write_plain(tmp_path / "web", shards=2, pictures=2), tmp_path / "out"
    first = caption(source, out)
    stamps = {path: path.stat().st_mtime_ns for path in out.iterdir()}
    again = caption(source, out, batch_size=1, part="1/1")
    assert again == first | {"done_before": 2}
    assert {path: path.stat().st_mtime_ns for path in out.iterdir()} == stamps


def test_what_changed_since_is_refused(tmp_path: Path, caption: Job) -> None:
    source, out = write_plain(tmp_path / "web", shards=1, pictures=2), tmp_path / "out"
    caption(source, out)
    written = (out / "00000.parquet").read_bytes()
    (out / "00000.parquet").write_bytes(written + b" ")
    with pytest.raises(DataError, match=r"missing or changed; remove 00000\.\* there"):
        caption(source, out)
    for path in out.glob("00000.*"):
        path.unlink()
    caption(source, out)
    assert (out / "00000.parquet").read_bytes() == written
    write_plain(source, shards=1, pictures=3)
    with pytest.raises(DataError, match="was made from other files of the source"):
        caption(source, out)


# --- kills ---------------------------------------------------------------------------------------


def command(source: Path, out: Path, *more: str) -> list[str]:
    return [str(MMICL), "caption", "--source", str(source), "--out", str(out), *more]


def wait_for(condition: Callable[[], bool], process: "subprocess.Popen[str]") -> None:
    for _ in range(300_000):
        if condition():
            return
        assert process.poll() is None, process.communicate()
        time.sleep(0.001)
    raise AssertionError("never came")


def test_a_killed_job_goes_on(tmp_path: Path, caption: Job, checkpoints: dict[str, str]) -> None:
    source = write_plain(tmp_path / "web", shards=4, pictures=12)
    out, undisturbed = tmp_path / "out", tmp_path / "undisturbed"
    models = [word for key, value in checkpoints.items() for word in (f"--{key}", value)]
    words = command(source, out, *models, "--candidates", "4", "--batch-size", "4")
    process = subprocess.Popen(
        words, cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    wait_for(lambda: (out / "00001.captions.json").exists(), process)
    wait_for(lambda: any(out.glob(".00002.*.tmp")), process)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    left = {path.name for path in out.iterdir() if not path.name.startswith(".")}
    assert left == {
        f"0000{n}{suffix}" for n in (0, 1) for suffix in (".tar", ".parquet", ".captions.json")
    }, "killed in the third shard, which is not to be seen"
    counts = caption(source, out, batch_size=4)
    assert counts["done_before"] == 2
    caption(source, undisturbed, batch_size=4)
    assert read_files(out) == read_files(undisturbed)


# --- the command ---------------------------------------------------------------------------------


def test_the_command_with_models_of_the_hubs_cache(
    tmp_path: Path, checkpoints: dict[str, str]
) -> None:
    source, out = write_plain(tmp_path / "web", shards=1, pictures=2), tmp_path / "out"
    commit = "0123456789abcdef0123456789abcdef01234567"
    for name, key in ((CAPTIONER, "captioner"), (MATCHER, "matcher")):
        place = tmp_path / "hub" / f"models--{name.replace('/', '--')}"
        (place / "refs").mkdir(parents=True)
        (place / "refs" / "main").write_text(commit)
        (place / "snapshots").mkdir()
        (place / "snapshots" / commit).symlink_to(checkpoints[key])
    environment = {**os.environ, "HF_HUB_CACHE": str(tmp_path / "hub"), "HF_HUB_OFFLINE": "1"}
    ran = subprocess.run(
        command(source, out, "--candidates", "2", "--sampling", "beam", "--json"),
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout)["rows"] == 2
    assert "2/2" in ran.stderr
    assert "Traceback" not in ran.stderr
    assert read_table(out, "00000")[0]["captioner"] == f"{CAPTIONER}@{commit}"
    assert read_table(out, "00000")[0]["matcher"] == f"{MATCHER}@{commit}"
