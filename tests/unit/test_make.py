"""What stands between a person and `make run` is said in one line, and nothing is written."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def make(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        ["make", *arguments], cwd=folder, env={"PATH": os.defpath}, capture_output=True, text=True
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copy(ROOT / "Makefile", tmp_path)
    return tmp_path


@pytest.mark.parametrize("target", ["run", "install", "up", "test"])
def test_another_python_is_refused(folder: Path, target: str) -> None:
    subprocess.run(["git", "init", "--quiet"], cwd=folder, check=True)
    other = folder / "python3.9"
    other.write_text('#!/bin/sh\n[ "$1" = -V ] && echo Python 3.9.2 || echo False\n')
    other.chmod(0o755)
    result = make(folder, target, f"PYTHON={other}")
    assert result.returncode == 2
    assert "is Python 3.9.2: mmicl needs Python 3.11" in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert not (folder / ".venv").exists()


def test_a_folder_without_git_is_refused(folder: Path) -> None:
    result = make(folder, "run", f"PYTHON={sys.executable}")
    assert result.returncode == 2
    assert "is not a git repository" in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert not (folder / ".venv").exists()


def test_help_needs_nothing(folder: Path) -> None:
    result = make(folder, "help", "PYTHON=none")
    assert result.returncode == 0
    assert "make run" in result.stdout
