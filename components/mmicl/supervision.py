"""No orphans and one writer: processes that end with their parent, and locks that ranks share.

A supervised command runs below a small process of its own (this module as a program) which adopts
whatever the command leaves behind and ends all of it when the command ends, when it is told to
stop, or when its caller is gone, by whatever death.
"""

import contextlib
import ctypes
import fcntl
import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import psutil

from mmicl.errors import BusyError

GRACE = 15.0
"""Seconds that processes are given to end themselves before they are killed."""

_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
_SHELLS = {"sh", "dash", "bash", "zsh", "ksh", "fish"}


def die_with_parent() -> None:
    """End this process, and all below it, as soon as its parent is gone.

    A shell in between (DVC runs its commands through one) counts as part of the parent. The watch
    is a thread on the kernel's own notice of the death, so it costs nothing while waiting.
    """
    try:
        parents = [os.pidfd_open(pid) for pid in _find_parents()]
    except ProcessLookupError:  # gone before we could look
        os.kill(os.getpid(), signal.SIGTERM)
        return
    threading.Thread(target=_watch, args=(parents,), name="parent-watch", daemon=True).start()


def run_supervised(
    command: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    on_line: Callable[[str], None] | None = None,
) -> int:
    """Run a command to its end, and leave nothing of it behind, however this call ends.

    Args:
        command: Program and arguments; it runs in a session of its own.
        env: The whole environment; None hands on this process's.
        cwd: The folder to run in; None is the present one.
        on_line: Called with each line of its output (stdout and stderr as one, without the line
            end); None lets the output go where this process's goes.

    Returns:
        The exit code, 128 + number for a signal, 127 where there is no such program.

    Raises:
        BaseException: Whatever interrupts the wait; the whole tree below has ended by then.
    """
    process = start_supervised(
        command, env=env, cwd=cwd, output=None if on_line is None else subprocess.PIPE
    )
    try:
        if on_line is not None:
            for line in _read_lines(process):
                on_line(line)
        return process.wait()
    except BaseException:
        end_tree(process.pid)
        process.wait()
        raise


def start_supervised(
    command: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    output: int | IO[bytes] | None = None,
) -> subprocess.Popen[bytes]:
    """Start a command that ends, with all below it, when this process does or when it is told to.

    Args:
        command: Program and arguments; it runs in a session of its own.
        env: The whole environment; None hands on this process's.
        cwd: The folder to run in; None is the present one.
        output: Where stdout and stderr go; None lets them go where this process's go.

    Returns:
        The supervising process; it ends as the command does, with the same exit code.
    """
    wrapper = [sys.executable, "-P", "-m", "mmicl.supervision", str(os.getpid())]
    return subprocess.Popen(
        [*wrapper, *map(str, command)],
        env=None if env is None else dict(env),
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=None if output is None else subprocess.STDOUT,
        start_new_session=True,
    )


def end_tree(pid: int, *, grace: float = GRACE, spare_root: bool = False) -> None:
    """End a process and everything below it: ask leaves first, kill what has not gone in time.

    Args:
        pid: The root of the tree; nothing happens when there is no such process.
        grace: Seconds between asking and killing.
        spare_root: Leave the root itself alone.
    """
    with contextlib.suppress(psutil.NoSuchProcess):
        root = psutil.Process(pid)
        doomed = root.children(recursive=True)[::-1] + ([] if spare_root else [root])
        for process in doomed:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.terminate()
        _wait_for_end(doomed, grace)
        # What was started meanwhile would outlive the snapshot.
        with contextlib.suppress(psutil.NoSuchProcess):
            doomed = [*root.children(recursive=True)[::-1], *doomed]
        for process in doomed:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        _wait_for_end(doomed, grace)


def _wait_for_end(processes: Sequence[psutil.Process], seconds: float) -> None:
    """Wait for processes to end without reaping them.

    Reaping a child behind the back of the Popen that started it would turn its death into exit
    code 0 there: a killed training would look like a finished one.
    """
    end = time.monotonic() + seconds
    while any(_runs(process) for process in processes) and time.monotonic() < end:
        time.sleep(0.05)


def _runs(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


class RunLock:
    """One writer in a run folder.

    The process that starts a run holds the lock (`with RunLock(folder):`); each process that
    writes for it joins (`RunLock(folder).join()`), and is seen even after the starter was killed.
    A second start waits a moment for such orphans, ends them, and then takes the lock.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._starter: IO[str] | None = None

    def __enter__(self) -> Self:
        """Take the lock.

        Raises:
            BusyError: A living run holds it.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        starter = (self.folder / "starter.lock").open("a+", encoding="utf-8")
        try:
            if not _wait_for(starter, fcntl.LOCK_EX, seconds=GRACE):
                raise BusyError(
                    f"another run is writing here ({_describe_holder(starter)})",
                    where=self.folder,
                    remedy="wait for it, or end that process",
                )
            self._end_orphans()
        except BaseException:
            starter.close()
            raise
        starter.seek(0)
        starter.truncate()
        json.dump({"pid": os.getpid(), "command": sys.argv}, starter)
        starter.flush()
        self._starter = starter
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Give the lock back."""
        if self._starter is not None:
            self._starter.close()
            self._starter = None

    def join(self) -> None:
        """Be counted as a writer of this run for the rest of this process's life."""
        self.folder.mkdir(parents=True, exist_ok=True)
        member = (self.folder / "writers.lock").open("a+", encoding="utf-8")
        fcntl.flock(member, fcntl.LOCK_SH)
        _joined.append(member)

    def _end_orphans(self) -> None:
        """Wait for the writers of a run whose starter is dead, then end them."""
        with (self.folder / "writers.lock").open("a+", encoding="utf-8") as writers:
            if _wait_for(writers, fcntl.LOCK_EX, seconds=GRACE):
                return
            for pid in _find_openers(self.folder / "writers.lock") - {os.getpid()}:
                end_tree(pid, grace=5.0)
            if not _wait_for(writers, fcntl.LOCK_EX, seconds=5.0):
                raise BusyError("writers of an earlier run do not end", where=self.folder)


_joined: list[IO[str]] = []
"""Files of joined locks: open as long as the process lives."""


def _wait_for(stream: IO[str], mode: int, seconds: float) -> bool:
    """Try to lock a file for some seconds; True when it is held."""
    end = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(stream, mode | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() > end:
                return False
            time.sleep(0.2)


def _describe_holder(stream: IO[str]) -> str:
    """Say who wrote himself into a lock file."""
    stream.seek(0)
    try:
        return f"PID {json.loads(stream.read())['pid']}"
    except (ValueError, KeyError):
        return "PID unknown"


def _find_openers(path: Path) -> set[int]:
    """The processes that have a file open."""
    target, found = path.stat(), set()
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        with contextlib.suppress(OSError):  # processes and their files come and go
            if os.path.samestat(link.stat(), target):
                found.add(int(link.parts[2]))
    return found


def _find_parents() -> list[int]:
    """The parent and, behind a shell that only runs a command, the parent of that."""
    found = [os.getppid()]
    with contextlib.suppress(OSError, psutil.Error):
        parent = psutil.Process(found[0])
        if parent.name() in _SHELLS and "-c" in parent.cmdline():
            found.append(parent.ppid())
    return found


def _watch(parents: list[int]) -> None:
    """Wait for one of some processes (as file descriptors) to die, then end this one."""
    select.select(parents, [], [])
    end_tree(os.getpid(), spare_root=True)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE)
    os.kill(os.getpid(), signal.SIGKILL)


def _read_lines(process: subprocess.Popen[bytes]) -> Iterator[str]:
    """The lines of a process's output, until it ends; what it left behind cannot hold us up."""
    if process.stdout is None:
        return
    gone, pending = os.pidfd_open(process.pid), b""
    try:
        with process.stdout as stream:
            while True:
                ready, _, _ = select.select([stream, gone], [], [])
                chunk = os.read(stream.fileno(), 65536) if stream in ready else b""
                *lines, pending = (pending + chunk).split(b"\n")
                yield from (_decode(line) for line in lines)
                if not chunk:
                    break
        if pending:
            yield _decode(pending)
    finally:
        os.close(gone)


def _decode(line: bytes) -> str:
    """Text of an output line; of a progress bar, its last state."""
    return line.decode("utf-8", errors="replace").rstrip("\r").rsplit("\r", 1)[-1]


class _Stopped(BaseException):
    """The supervising process was told to end."""


def _supervise(caller: int, command: list[str]) -> int:
    """Run a command as the adoptive parent of all it starts; end all of it at the end.

    Args:
        caller: The process for which this happens; its death ends the command.
        command: Program and arguments.

    Returns:
        The exit code as `run_supervised` gives it.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)

    def stop(*_: object) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        raise _Stopped

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    try:
        above = os.pidfd_open(caller)
        if os.getppid() != caller:
            raise _Stopped
        try:
            # No thread lives here, so the hook between fork and exec is safe. It covers the one
            # death that this process cannot answer: its own by SIGKILL.
            child = subprocess.Popen(
                command,
                preexec_fn=lambda: libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0),
            )
        except OSError as error:
            print(f"mmicl: {command[0]}: {error.strerror}", file=sys.stderr)  # noqa: T201
            return 127
        below = os.pidfd_open(child.pid)
        ready, _, _ = select.select([above, below], [], [])
        if above in ready:
            raise _Stopped
        code = child.wait()
        return code if code >= 0 else 128 - code
    except (_Stopped, ProcessLookupError):
        return 128 + signal.SIGTERM
    finally:
        end_tree(os.getpid(), spare_root=True)


if __name__ == "__main__":
    sys.exit(_supervise(int(sys.argv[1]), sys.argv[2:]))
