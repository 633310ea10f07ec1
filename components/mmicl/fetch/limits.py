"""How much and how long one fetch may take, and which hosts it trusts: set in the environment.

They say what this machine allows, not what the data are, so they invalidate nothing.
"""

import contextlib
import errno
import os
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from mmicl.errors import ResourceError, UserError

BYTES_VARIABLE = "MMICL_FETCH_MAX_GB"
HOURS_VARIABLE = "MMICL_FETCH_MAX_HOURS"
TRUSTED_VARIABLE = "MMICL_FETCH_TRUSTED_HOSTS"
DEFAULT_GIGABYTES = 1000.0
DEFAULT_HOURS = 72.0


class Budget:
    """Bytes and time that are left to one fetch; safe to use from several threads."""

    def __init__(self) -> None:
        self.bytes = int(_read_number(BYTES_VARIABLE, DEFAULT_GIGABYTES) * 1e9)
        self._left = self.bytes
        self._hours = _read_number(HOURS_VARIABLE, DEFAULT_HOURS)
        self._deadline = time.monotonic() + self._hours * 3600
        self._lock, self._stopped = threading.Lock(), threading.Event()

    def check(self, size: int, folder: Path, where: object) -> None:
        """Refuse what is known to be too much before anything of it is read.

        Raises:
            UserError: `size` bytes are over the limit.
            ResourceError: They do not fit on the disk of `folder`.
        """
        if size > self.bytes:
            message = f"{size / 1e9:.3f} GB are over the limit"
            raise UserError(message, where=where, remedy=self._ask_more())
        if size > (free := shutil.disk_usage(folder).free):
            message = f"needs {size / 1e9:.1f} GB, and {free / 1e9:.1f} are free"
            raise ResourceError(message, where=where, remedy="free space, run again")

    def spend(self, size: int, where: object) -> None:
        """Count `size` bytes that came.

        Raises:
            UserError: More came than allowed, time is up, or another thread failed.
        """
        if self._stopped.is_set():
            raise UserError("stopped, since another file failed", where=where)
        with self._lock:
            self._left -= size
        if self._left < 0:
            message = "more comes than the limit allows"
            raise UserError(message, where=where, remedy=self._ask_more())
        if time.monotonic() > self._deadline:
            remedy = f"run again to go on, or raise {HOURS_VARIABLE} (now {self._hours:g})"
            raise UserError("the time limit is over", where=where, remedy=remedy)

    def pause(self, seconds: float) -> None:
        """Wait, unless another thread failed meanwhile."""
        self._stopped.wait(seconds)

    def stop(self) -> None:
        """Make every other thread of this fetch give up at its next block."""
        self._stopped.set()

    def _ask_more(self) -> str:
        return f"raise {BYTES_VARIABLE} (now {self.bytes / 1e9:g})"


@contextlib.contextmanager
def explain_full_disk(where: object) -> Iterator[None]:
    """Say in one line that the disk is full, wherever that shows.

    Raises:
        ResourceError: It is.
    """
    try:
        yield
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        message, remedy = "the disk is full", "free space, run again"
        raise ResourceError(message, where=where, remedy=remedy) from None


def is_trusted(host: str, port: int) -> bool:
    """Whether the environment names a host (`HOST` or `HOST:PORT`, separated by commas).

    Only such a host may be reached by http:// or at an address that is not public.
    """
    names = {name.strip().lower() for name in os.environ.get(TRUSTED_VARIABLE, "").split(",")}
    return bool({host.lower(), f"{host.lower()}:{port}"} & names)


def _read_number(variable: str, default: float) -> float:
    text = os.environ.get(variable)
    try:
        number = float(text) if text else default
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf"):
        raise UserError(f"{variable} is not a positive number: {text!r}")
    return number
