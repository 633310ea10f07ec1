"""A stage's command in a shell with and without the project's environment."""

import os
import subprocess
from pathlib import Path

from checkouts import ROOT, clean_environment


def run_stage(*arguments: str, path: str) -> "subprocess.CompletedProcess[str]":
    environment = clean_environment() | {"PATH": path}
    return subprocess.run(
        ["sh", "infra/stage.sh", *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
    )


def test_without_the_environment_one_line_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "python").write_text('#!/bin/sh\nexec /usr/bin/env python3 -I -S "$@"\n')
    (tmp_path / "python").chmod(0o755)
    result = run_stage("fetch", "coco", path=f"{tmp_path}:{os.defpath}")
    assert result.returncode == 2
    assert result.stdout == ""
    assert "source .venv/bin/activate" in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


def test_with_it_the_stages_answer() -> None:
    result = run_stage("nosuch", path=clean_environment()["PATH"])
    assert result.returncode == 2
    assert "nosuch: no such stage; stages are augment" in result.stderr
