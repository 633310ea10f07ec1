"""What `mmicl caption` refuses, each in one line, and without touching what is there."""

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from blip_checkpoints import write_matcher
from web_shards import Job, read_files, write_plain

from mmicl.errors import DataError, MmiclError, UserError

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seed": 1}, "00000.captions.json: was made with seed 0, not 1"),
        ({"top_p": 0.5}, "was made with top_p 0.9, not 0.5"),
        ({"candidates": 5}, "was made with candidates 4, not 5"),
        ({"sampling": "beam"}, "was made with sampling 'nucleus', not 'beam'"),
        ({"precision": "bfloat16"}, "was made with precision 'float32', not 'bfloat16'"),
        ({"prompt": ""}, "was made with prompt 'a picture of', not ''"),
    ],
)
def test_a_shard_of_other_arguments_is_refused(
    done: tuple[Path, Path], caption: Job, changes: dict[str, Any], message: str
) -> None:
    before = read_files(done[1])
    with pytest.raises(UserError, match=message.replace(".", r"\.")):
        caption(*done, **changes)
    assert read_files(done[1]) == before


def test_a_shard_of_another_model_is_refused(
    tmp_path: Path, done: tuple[Path, Path], caption: Job
) -> None:
    other = write_matcher(tmp_path / "matcher", seed=5)
    with pytest.raises(UserError, match="was made with matcher 'matcher@sha256:"):
        caption(*done, matcher=str(other))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"candidates": 0}, "--candidates: not at least 1: 0"),
        ({"batch_size": 0}, "--batch-size: not at least 1: 0"),
        ({"top_p": 0.0}, "--top-p: not above 0 and up to 1: 0.0"),
        ({"top_p": 1.5}, "--top-p"),
        ({"sampling": "greedy"}, "--sampling: not nucleus or beam: 'greedy'"),
        ({"precision": "int8"}, "--precision: not one of float32, bfloat16, float16: 'int8'"),
        ({"device": "tpu"}, "--device: not auto, cpu"),
        ({"device": "cuda:99"}, "--device cuda:99: torch sees"),
        ({"part": "0/3"}, "--part: not i/n"),
        ({"part": "4/3"}, "--part: not i/n"),
        ({"part": "half"}, "--part: not i/n"),
        ({"captioner": "/no/such/model"}, "/no/such/model: no such folder"),
        ({"prompt": "a " * 30}, "--prompt: with a caption it is"),
    ],
)
def test_wrong_arguments(
    tmp_path: Path, caption: Job, changes: dict[str, Any], message: str
) -> None:
    source = write_plain(tmp_path / "web", shards=1, pictures=1)
    with pytest.raises(UserError, match=message.replace("(", r"\(")):
        caption(source, tmp_path / "out", **changes)
    assert not (tmp_path / "out").exists()


def test_the_models_must_be_what_they_are_taken_for(
    tmp_path: Path, caption: Job, checkpoints: dict[str, str]
) -> None:
    source, out = write_plain(tmp_path / "web", shards=1, pictures=1), tmp_path / "out"
    with pytest.raises(UserError, match="the checkpoint lacks text_decoder"):
        caption(source, out, captioner=checkpoints["matcher"])
    with pytest.raises(UserError, match="the model is of type blip-2, not blip"):
        caption(source, out, matcher=str(ROOT / "components/mmicl/model/backbones/tiny"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="cannot be loaded"):
        caption(source, out, captioner=str(tmp_path / "empty"))


def spoil(source: Path, how: str) -> None:
    table = source / "00000.parquet"
    if how == "no tar":
        (source / "00000.tar").unlink()
    elif how == "no table":
        table.unlink()
    elif how == "no Parquet":
        table.write_bytes(b"no Parquet")
    elif how == "no digest":
        pq.write_table(pq.read_table(table).drop_columns(["sha256"]), table)
    elif how == "numbers":
        rows = pq.read_table(table).to_pylist()
        pq.write_table(
            pq.read_table(table).from_pylist([{**row, "caption": 1} for row in rows]), table
        )


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("no tar", "no shard"),
        ("no table", r"00000\.tar: no 00000\.parquet beside the shard"),
        ("no Parquet", r"00000\.parquet: no table of Parquet"),
        ("no digest", r"has no column sha256; img2dataset writes .* --compute_hash sha256"),
        ("numbers", "caption is no column of strings"),
    ],
)
def test_shards_that_cannot_be_read(tmp_path: Path, caption: Job, how: str, message: str) -> None:
    source = write_plain(tmp_path / "web", shards=1, pictures=2)
    spoil(source, how)
    with pytest.raises(DataError, match=message):
        caption(source, tmp_path / "out")


def test_what_was_captioned_already_is_no_source(
    tmp_path: Path, done: tuple[Path, Path], caption: Job
) -> None:
    with pytest.raises(DataError, match="has a column web_caption already"):
        caption(done[1], tmp_path / "out")


@pytest.mark.parametrize("out", [".", "within", "../web"])
def test_source_and_result_are_apart(tmp_path: Path, caption: Job, out: str) -> None:
    source = write_plain(tmp_path / "web", shards=1, pictures=1)
    before = read_files(source)
    with pytest.raises(MmiclError, match="within each other"):
        caption(source, source / out)
    assert read_files(source) == before


@pytest.mark.parametrize("left", ["00000.tar", "00000.parquet"])
def test_a_shard_of_others_is_not_written_over(tmp_path: Path, caption: Job, left: str) -> None:
    source = write_plain(tmp_path / "web", shards=1, pictures=1)
    other = write_plain(tmp_path / "out", shards=1, pictures=2)
    for path in other.iterdir():
        if path.name != left:
            path.unlink()
    before = read_files(other)
    with pytest.raises(DataError, match="a shard lies there that this command did not write"):
        caption(source, other)
    assert read_files(other) == before
