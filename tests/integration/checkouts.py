"""Fresh checkouts, and commands run in them as a person would."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent


def clean_environment(**extra: str) -> dict[str, str]:
    """What a plain shell with the environment activated has, and nothing else."""
    keep = {key: os.environ[key] for key in ("HOME", "LANG", "TMPDIR") if key in os.environ}
    return {"PATH": f"{BIN}:/usr/local/bin:/usr/bin:/bin", **keep, **extra}


def copy_checkout(target: Path) -> Path:
    """A git clone of this checkout as it stands, uncommitted files included and committed there."""
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(target)], check=True)
    changed = subprocess.run(
        ["git", "ls-files", "--modified", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split("\0")
    for name in filter(None, changed):
        source, copy = ROOT / name, target / name
        if source.is_file():
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, copy)
        else:
            copy.unlink(missing_ok=True)
    git = ["git", "-c", "user.name=test", "-c", "user.email=test@example.org"]
    subprocess.run([*git, "add", "-A"], cwd=target, check=True)
    subprocess.run(
        [*git, "commit", "--quiet", "--allow-empty", "-m", "As it stands"], cwd=target, check=True
    )
    return target


def run_in(
    checkout: Path, *command: str, timeout: float = 900, **extra: str
) -> "subprocess.CompletedProcess[str]":
    """Run a command in a checkout as a person would, with the checkout's own code."""
    environment = clean_environment(PYTHONPATH=str(checkout / "components"), **extra)
    return subprocess.run(
        command, cwd=checkout, env=environment, capture_output=True, text=True, timeout=timeout
    )
