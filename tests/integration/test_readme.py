"""Every command of the README runs as it stands there, in the order of its sections."""

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from checkouts import ROOT, clean_environment

pytestmark = [pytest.mark.alone, pytest.mark.timeout(2400)]

BLOCKS = re.findall(r"```bash\n(.*?)```", (ROOT / "README.md").read_text(), flags=re.DOTALL)
COMMANDS = [line for block in BLOCKS for line in block.splitlines() if line.strip()]
SELECTED = "-k test_help_lists_every_command"
"""`make test` inside a test proves the target; all tests again would prove nothing more."""


def shell(checkout: Path, command: str) -> "subprocess.CompletedProcess[str]":
    """Run a command in a plain shell of the checkout with its environment activated."""
    return subprocess.run(
        ["bash", "-c", f"source .venv/bin/activate && {command}"],
        cwd=checkout,
        env=clean_environment(
            PYTHONPATH=str(checkout / "components"), PYTEST_ADDOPTS=SELECTED, COLUMNS="200"
        ),
        capture_output=True,
        text=True,
        timeout=1500,
    )


@pytest.fixture(scope="module")
def checkout(chain: Path) -> Path:
    """The checkout of the chain, with what the README's examples name."""
    if not (chain / ".venv").exists():
        (chain / ".venv").symlink_to(ROOT / ".venv")
    (chain / ".git/info/exclude").write_text(".venv\n*.png\nanswers.jsonl\ncoco_pope_*.json\n")
    for name in ("requirements.lock", "pyproject.toml"):
        os.utime(chain / name, (0, 0))  # the environment is there: nothing to install
    pictures = sorted((chain / "data/raw/coco").rglob("*.jpg"))
    for name, picture in zip(("a.png", "b.png"), pictures, strict=False):
        shutil.copy(picture, chain / name)
    questions = next((chain / "data/raw/pope").rglob("coco_pope_random.json"))
    shutil.copy(questions, chain / "coco_pope_random.json")
    answers = re.sub(r'"label": "(\w+)"', r'"answer": "\1"', questions.read_text())
    answers = answers.replace('"text":', '"question":')
    (chain / "answers.jsonl").write_text(answers)
    return chain


@pytest.fixture(scope="module")
def servers(checkout: Path) -> Iterator[str]:
    """What `make up` prints, while it runs."""
    process = subprocess.Popen(
        ["bash", "-c", "source .venv/bin/activate && exec make up"],
        cwd=checkout,
        env=clean_environment(PYTHONPATH=str(checkout / "components"), PYTHONUNBUFFERED="1"),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if "Ctrl-C" in line:
            break
    assert process.poll() is None, "".join(lines)
    yield "".join(lines)
    os.killpg(process.pid, signal.SIGINT)  # what Ctrl-C in a terminal does
    assert process.wait(timeout=90) is not None


@pytest.mark.parametrize("command", [line for line in COMMANDS if line != "make up"])
def test_command_of_the_readme(
    command: str, checkout: Path, servers: str, request: pytest.FixtureRequest
) -> None:
    if "DIR" in command:
        data = request.getfixturevalue("shared_data")
        command = command.replace("DIR", str(data))
    result = shell(checkout, command)
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]


def test_up_prints_the_addresses(servers: str) -> None:
    assert re.search(r"Prefect.*http://127\.0\.0\.1:\d+", servers)
    assert re.search(r"MLflow.*http://127\.0\.0\.1:\d+", servers)


def test_a_second_up_says_what_holds_the_port(checkout: Path, servers: str) -> None:
    result = shell(checkout, "mmicl up")
    assert result.returncode == 2
    assert len(result.stderr.strip().splitlines()) == 1, result.stderr
