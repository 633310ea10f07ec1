"""The command line: its table of contents, and errors of one line."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MMICL = Path(sys.executable).parent / "mmicl"


def mmicl(
    *arguments: str, cwd: Path = ROOT, path: str | None = None
) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [MMICL, *arguments], cwd=cwd, capture_output=True, text=True, check=False, timeout=120,
        env=os.environ if path is None else {**os.environ, "PATH": path},
    )  # fmt: skip


def test_help_lists_every_command() -> None:
    text = mmicl("--help").stdout
    for command in (
        "run", "up", "plan", "params", "bank", "stage", "caption", "ingest", "browse", "predict",
        "score", "compare", "continue", "trace",
    ):  # fmt: skip
        assert f" {command} " in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("params", "show", "nowhere"), "nowhere: no such profile; profiles/ has"),
        (("run", "--profile", "nowhere"), "nowhere"),
        (("run", "--set", "pretrain.stepz=3"), "pretrain.stepz: unknown key"),
        (("run", "--set", "pretrain.steps=-3"), "pretrain.steps:"),
        (("run", "--data", "/no/such/folder"), "/no/such/folder: no such folder"),
        (("caption", "--source", "/no/such/folder", "--out", "x"), "/no/such/folder: no such"),
        (("score", "nosuch", "--predictions", "x.json"), "nosuch"),
        (("compare", "/no/such", "/no/other"), "/no/such: no items.parquet"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(arguments: tuple[str, ...], message: str) -> None:
    result = mmicl(*arguments)
    assert result.returncode == 2
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith("mmicl: ")
    assert message in lines[0]


def test_score_as_json_is_one_object_and_nothing_else(tmp_path: Path) -> None:
    answers = [{"image_id": key, "caption": "a red cat on a mat" * key} for key in (0, 1)]
    truths = [{"image_id": key, "caption": "a cat on a mat"} for key in (0, 1, 2)]
    (tmp_path / "results.json").write_text(json.dumps(answers))
    (tmp_path / "captions.json").write_text(json.dumps({"annotations": truths}))
    result = mmicl(
        "score", "coco_caption", "--predictions", str(tmp_path / "results.json"),
        "--references", str(tmp_path / "captions.json"), "--json", "--per-item",
        path=str(MMICL.parent),  # no Java there, whose METEOR takes seconds
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    scored = json.loads(result.stdout)
    assert set(scored) == {"benchmark", "n", "metrics", "warnings", "per_item"}
    assert (scored["benchmark"], scored["n"]) == ("coco_caption", 2)
    assert 0 < scored["metrics"]["Bleu_1"] <= 1
    assert scored["warnings"] == [
        "1 of 3 images have no caption and are not scored, as officially",
        "1 answers are empty, scored as the official tool does",
    ]


def test_outside_a_checkout_says_so(tmp_path: Path) -> None:
    result = mmicl("plan", cwd=tmp_path)
    assert result.returncode == 2
    assert "not inside a checkout" in result.stderr


def test_plan_of_a_big_profile_estimates() -> None:
    override = "augment.base_url=https://api.example.org/v1"
    text = mmicl("plan", "--profile", "flan-t5-xxl", "--set", override).stdout
    assert "12.23 billion" in text
    assert "estimated, not measured" in text
    assert "prompts, on GPUs with at least 46 GiB, a benchmark each" in " ".join(text.split())
    assert "paraphrases by gpt-4o-mini: 180 requests" in text


def test_a_place_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "taken").touch()
    out = tmp_path / "taken" / "out"
    result = mmicl("ingest", "nlvr2", "--source", "world://nlvr2?n=4&seed=1", "--out", str(out))
    assert result.returncode == 2
    assert str(tmp_path / "taken") in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_answers_of_no_tokens_are_refused() -> None:
    options = ("--image", "none.png", "--max-new-tokens", "0")
    result = mmicl("predict", "builtin", "what is <image0>?", *options)
    assert result.returncode == 2
    assert "Traceback" not in result.stderr
    assert "max-new-tokens" in result.stderr


def test_a_misspelt_variant_starts_no_server() -> None:
    result = mmicl("ablate", "--variant", "nope")
    assert result.returncode == 2
    assert "no variant named nope" in result.stderr
    assert "server" not in result.stdout + result.stderr


def test_params_show_prints_the_file() -> None:
    assert mmicl("params", "show", "tiny").stdout == (ROOT / "profiles/tiny.yaml").read_text()


def test_ingest_counts_as_json(tmp_path: Path) -> None:
    result = mmicl(
        "ingest", "nlvr2", "--source", "world://nlvr2?n=10&seed=1",
        "--out", str(tmp_path / "out"), "--json",
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    counts = json.loads(result.stdout)
    assert counts["splits"]["train"] > 0
