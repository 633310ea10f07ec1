"""Files that are named otherwise than officially: roles, within the folder and nowhere else."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mmicl.cli.application import app, split_pairs
from mmicl.config import check_config, read_params
from mmicl.errors import UserError
from mmicl.paths import Paths
from mmicl.sources import READERS
from mmicl.stages import StageContext
from mmicl.stages import ingest as ingest_stage

ROOT = Path(__file__).resolve().parents[3]

LINE = {"image": "000000000007.jpg", "caption": "The cat is under it.", "label": 1}


@pytest.fixture
def folder(official, paint) -> Path:
    folder = official({"mine/zero.jsonl": [LINE], "test.jsonl": [LINE, LINE]})
    paint(folder, "train2017/000000000007.jpg")
    return folder


def test_a_role_names_a_file(folder: Path, ingest) -> None:
    assert ingest("vsr", folder).manifest["splits"]["test"] == 2
    named = ingest("vsr", folder, out="named", files={"test": "mine/zero.jsonl"})
    assert named.manifest["splits"]["test"] == 1
    assert list(named.manifest["sources"]) == ["mine/zero.jsonl"]


def test_a_role_names_a_folder_of_pictures(official, ingest, paint) -> None:
    asked = {
        "question_id": "a", "image_id": 7, "question": "What?", "choices": ["a", "b"],
        "correct_choice_idx": 0, "direct_answers": ["a"],
    }  # fmt: skip
    folder = official({"aokvqa_v1p0_val.json": [asked]})
    paint(folder, "photos/of val/000000000007.jpg")
    result = ingest("aokvqa", folder, files={"val_images": "photos/of val"})
    assert result.manifest["examples"] == 1


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"dev": "../outside.jsonl"}, "leads out of the dataset's folder"),
        ({"dev": "nowhere.jsonl"}, r"no such dev\.jsonl"),
        ({"dev": "train2017"}, r"no such dev\.jsonl"),
        ({"validation": "test.jsonl"}, "vsr has no role validation.*train, dev, test"),
    ],
)
def test_a_wrong_role_or_path_is_refused(
    folder: Path, ingest, files: dict[str, str], message: str
) -> None:
    (folder.parent / "outside.jsonl").write_text(json.dumps(LINE))
    with pytest.raises(UserError, match=message):
        ingest("vsr", folder, files=files)


def test_a_role_of_params_names_a_file(folder: Path, tmp_path: Path) -> None:
    paths = Paths(tmp_path, tmp_path / "state")
    params = read_params(ROOT / "profiles" / "tiny.yaml")
    entry = params["datasets"]["nlvr2"]
    entry |= {"reader": "vsr", "files": {"test": "mine/zero.jsonl"}}
    paths.raw("nlvr2").parent.mkdir(parents=True)
    folder.rename(paths.raw("nlvr2"))
    context = StageContext("ingest@nlvr2", "nlvr2", check_config(params, "test"), paths, "0")
    ingest_stage.run(context)
    assert context.facts["splits"] == {"train": 0, "val": 0, "test": 1}
    entry["files"] = {"validation": "test.jsonl"}
    context = StageContext("ingest@nlvr2", "nlvr2", check_config(params, "test"), paths, "0")
    with pytest.raises(UserError, match=r"datasets\.nlvr2\.files: vsr has no role validation"):
        ingest_stage.run(context)


@pytest.mark.parametrize("pairs", [["dev"], ["dev="], ["=x"], ["dev=a", "dev=b"]])
def test_pairs_that_are_none(pairs: list[str]) -> None:
    with pytest.raises(UserError, match="not role=path"):
        split_pairs(pairs)


def test_the_command_reads_a_named_file(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(READERS, "vsr", READERS["vsr"])  # the command binds files to it
    monkeypatch.setenv("MMICL_STATE", str(tmp_path / "state"))
    options = ["--source", str(folder), "--out", str(tmp_path / "look"), "--json"]
    result = CliRunner().invoke(app, ["ingest", "vsr", *options, "--file", "test=mine/zero.jsonl"])
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["splits"] == {"train": 0, "val": 0, "test": 1}
