"""DVC's read-write lock file: who holds what, and entries that the dead left behind.

DVC knows a holder by its process id alone. An id that lives again as something else, or an entry
of a killed reader, would block a checkout for good.
"""

import contextlib
import json
from pathlib import Path
from typing import Any

import psutil

from mmicl.errors import BusyError


def drop_dead(root: Path) -> None:
    """Remove entries whose process is gone, or is none of this checkout."""
    path = root / ".dvc" / "tmp" / "rwlock"
    if not path.exists():
        return
    from dvc.lock import Lock

    with Lock(str(path.with_name("rwlock.lock"))):
        locks = _read(path)
        kept = {
            "write": {out: who for out, who in locks["write"].items() if _is_alive(who, root)},
            "read": {
                out: alive
                for out, readers in locks["read"].items()
                if (alive := [who for who in readers if _is_alive(who, root)])
            },
        }
        if kept != locks:
            path.write_text(json.dumps(kept), encoding="utf-8")


def is_held(root: Path) -> bool:
    """Whether a living process writes a stage's outs in this checkout."""
    writers = _read(root / ".dvc" / "tmp" / "rwlock")["write"].values()
    return any(_is_alive(who, root) for who in writers)


def describe_holder(root: Path) -> BusyError:
    """The error that says which process holds the checkout's stages, and what it writes."""
    remedy = "wait for it, or stop it"
    for out, who in _read(root / ".dvc" / "tmp" / "rwlock")["write"].items():
        if _is_alive(who, root):
            name = Path(out).relative_to(root) if Path(out).is_relative_to(root) else out
            text = f"{name} is being written by PID {who['pid']} ({who['cmd']})"
            return BusyError(text, where=root, remedy=remedy)
    lock = root / ".dvc" / "tmp" / "lock"
    pid = lock.read_text(encoding="utf-8").strip() if lock.exists() else ""
    return BusyError(f"DVC is at work here (PID {pid or 'unknown'})", where=root, remedy=remedy)


def _read(path: Path) -> dict[str, Any]:
    """The lock file; one that was cut while being written holds nothing."""
    locks: dict[str, Any] = {}
    with contextlib.suppress(FileNotFoundError, json.JSONDecodeError):
        locks = json.loads(path.read_text(encoding="utf-8"))
    return {"write": {}, "read": {}} | locks


def _is_alive(who: dict[str, Any], root: Path) -> bool:
    """Whether a lock's process lives and works in this checkout."""
    try:
        return Path(psutil.Process(who["pid"]).cwd()).is_relative_to(root)
    except psutil.AccessDenied:
        return True  # someone else's: not ours to judge
    except (psutil.Error, OSError):
        return False
