"""Nothing is left behind, whatever dies; one writer a run folder."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from mmicl.errors import BusyError
from mmicl.supervision import RunLock, end_tree, run_supervised

# A parent and a child in a session of its own, as torchrun starts its trainers; both tell their id.
FAMILY = """
import os, subprocess, sys, time
sleep = [sys.executable, "-c", "import time; time.sleep(60)"]
child = subprocess.Popen(sleep, start_new_session=True)
print(os.getpid(), child.pid, flush=True)
time.sleep(60)
"""


def wait_until(happens: Callable[[], bool], seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not happens():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def runs(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def test_lines_come_one_by_one_and_the_exit_code_comes_back() -> None:
    lines: list[str] = []
    script = "echo one; echo two >&2; printf '10%%\\r20%%\\n'; printf 'no end'; exit 7"
    assert run_supervised(["sh", "-c", script], on_line=lines.append) == 7
    assert lines == ["one", "two", "20%", "no end"]
    assert run_supervised(["sh", "-c", "kill -9 $$"]) == 137
    assert run_supervised(["no-such-program"], on_line=lines.append) == 127
    assert lines[-1] == "mmicl: no-such-program: No such file or directory"


def test_a_command_takes_what_it_left_behind_with_it() -> None:
    lines: list[str] = []
    assert run_supervised(["sh", "-c", "setsid sleep 60 & echo $!"], on_line=lines.append) == 0
    assert not runs(int(lines[0]))


def test_an_interrupt_ends_the_whole_tree() -> None:
    pids: list[int] = []

    def on_line(line: str) -> None:
        pids.extend(map(int, line.split()))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_supervised([sys.executable, "-c", FAMILY], on_line=on_line)
    assert len(pids) == 2
    assert not any(map(runs, pids))


@pytest.mark.parametrize("victim", ["caller", "supervisor", "command"])
def test_a_kill_anywhere_leaves_no_orphan(tmp_path: Path, victim: str) -> None:
    told = tmp_path / "told"
    caller_code = f"""
from pathlib import Path
from mmicl.supervision import run_supervised
run_supervised([{sys.executable!r}, "-c", {FAMILY!r}], on_line=Path({str(told)!r}).write_text)
"""
    caller = subprocess.Popen([sys.executable, "-c", caller_code])
    try:
        wait_until(lambda: told.exists() and told.read_text() != "")
        command, grandchild = map(int, told.read_text().split())
        supervisor = psutil.Process(command).ppid()
        end = {"caller": caller.pid, "supervisor": supervisor, "command": command}[victim]
        os.kill(end, signal.SIGKILL)
        if victim == "supervisor":  # the one death that only the command itself can answer
            wait_until(lambda: not runs(command))
            end_tree(grandchild)
        wait_until(lambda: not runs(command) and not runs(grandchild))
        wait_until(lambda: not runs(supervisor))
    finally:
        caller.kill()
        caller.wait()


@pytest.mark.parametrize("shell", [False, True])
def test_a_process_ends_with_its_parent_even_through_a_shell(tmp_path: Path, shell: bool) -> None:
    told = tmp_path / "told"
    code = (
        "import os, sys, time; from mmicl.supervision import die_with_parent; die_with_parent(); "
        f"open({str(told)!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    )
    script = tmp_path / "script.py"
    script.write_text(code)
    # The trailing command keeps the shell from turning itself into Python.
    command = [sys.executable, str(script)]
    if shell:
        command = ["sh", "-c", f"{sys.executable} {script}; true"]
    parent = subprocess.Popen(
        [sys.executable, "-c", f"import subprocess; subprocess.run({command!r})"]
    )
    wait_until(lambda: told.exists() and told.read_text() != "")
    parent.kill()
    parent.wait()
    wait_until(lambda: not runs(int(told.read_text())))


def test_ending_a_tree_leaves_the_exit_code_to_whoever_waits_for_it() -> None:
    child = subprocess.Popen(["sleep", "60"])
    threading.Thread(target=end_tree, args=(child.pid,)).start()
    assert child.wait() == -signal.SIGTERM


def test_a_run_folder_has_one_starter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mmicl.supervision.GRACE", 0.3)
    with (
        RunLock(tmp_path),
        pytest.raises(BusyError, match=f"PID {os.getpid()}"),
        RunLock(tmp_path),
    ):
        pass
    with RunLock(tmp_path):
        pass


def test_a_second_start_ends_the_orphans_of_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mmicl.supervision.GRACE", 0.3)
    rank_code = (
        "from pathlib import Path; import time; from mmicl.supervision import RunLock; "
        f"RunLock(Path({str(tmp_path)!r})).join(); print('joined', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", rank_code], stdout=subprocess.PIPE) as rank:
        assert rank.stdout is not None
        assert rank.stdout.readline() == b"joined\n"
        with RunLock(tmp_path):
            assert rank.wait(5) == -signal.SIGTERM
