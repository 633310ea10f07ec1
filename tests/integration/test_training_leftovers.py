"""Ten trainings one after another leave no process, no shared memory and no file behind."""

import os
from pathlib import Path

import psutil
import pytest
from training_workspace import make_workspace, read_config

from mmicl.launch.local import launch_training
from mmicl.train.stage import run_training

pytestmark = [pytest.mark.alone, pytest.mark.timeout(900)]

MARK = "MMICL_TEST_LEFTOVERS"
"""In the environment of all that the runs start, also of what leaves its parent and session."""


def list_marked(mark: str) -> list[str]:
    """Living processes with the mark, by command."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == mark:
                found.append(" ".join(process.cmdline()))
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


def list_segments() -> set[str]:
    """Shared memory: POSIX's by name, System V's by number."""
    posix = {f"/dev/shm/{name}" for name in os.listdir("/dev/shm")}  # noqa: PTH208, S108
    lines = Path("/proc/sysvipc/shm").read_text().splitlines()[1:]
    return posix | {f"shmid {line.split()[1]}" for line in lines}


def list_mapped() -> set[str]:
    """Shared memory that a living process has mapped or open: not left behind, whoever's it is."""
    found: set[str] = set()
    for process in psutil.process_iter():
        try:
            found.update(mapped.path for mapped in process.memory_maps())
            found.update(opened.path for opened in process.open_files())
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


def test_ten_runs_leave_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = make_workspace(tmp_path / "checkout", processes=2, threads=2, checkpoint_every=1)
    config = read_config(paths, pretrain={"steps": 2})
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.setenv(MARK, str(tmp_path))
    before, children = list_segments(), psutil.Process().children(recursive=True)
    for number in range(10):
        run = paths.run("pretrain", f"run{number}")
        run_training("pretrain", paths, run, tmp_path / "out", config.launch, launch_training)
        assert (run / "step_1").is_dir()
    assert list_marked(str(tmp_path)) == []
    assert psutil.Process().children(recursive=True) == children
    assert list_segments() - before - list_mapped() == set()
    assert sorted(temporary.rglob("*")) == []
