"""What runs out, memory or disk, in the several words that libraries have for it."""

import errno
import os
import re
import shutil
from pathlib import Path

from mmicl.errors import ResourceError

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_MEMORY_SIGNS = (
    "can't allocate memory", "out of memory", "not enough memory", "bad_alloc", "alloc_failed",
)  # fmt: skip
_FULL_BYTES = 64 * 1024
"""With so little left not even a word of how it ended can be written."""


def find_lack_of_memory(error: BaseException) -> str | None:
    """The first line of an error that says, in one of torch's several ways, that memory ran out."""
    text = str(error).lower()
    told = isinstance(error, RuntimeError) and any(sign in text for sign in _MEMORY_SIGNS)
    if not told and not isinstance(error, MemoryError):
        return None
    return str(error).strip().partition("\n")[0] or "no room"


def find_full_disk(error: BaseException) -> str | None:
    """The system's reason, where an error (safetensors has its own) is about room for a file."""
    number = error.errno if isinstance(error, OSError) else None
    if number is None and (found := re.search(r"\(os error (\d+)\)", str(error))):
        number = int(found[1])
    return os.strerror(number) if number in _NO_ROOM else None


def is_full(folder: Path) -> bool:
    """Whether nothing more can be written into a folder that exists."""
    return shutil.disk_usage(folder).free < _FULL_BYTES


def describe_shortage(error: BaseException, where: object) -> ResourceError | None:
    """The error of ours for one that says that something ran out; None for any other."""
    if (reason := find_lack_of_memory(error)) is not None:
        return ResourceError(
            f"out of memory: {reason}",
            where=where,
            remedy="end what else holds memory, or use a machine with more of it",
        )
    if (reason := find_full_disk(error)) is not None:
        return ResourceError(
            f"no room to write ({reason})", where=where, remedy="make room there, and run again"
        )
    return None
