"""Unpack tar, tar.gz and zip archives that others made.

Nothing but files and folders comes out, nothing outside the target, nothing over the limits; what
an archive says of itself (names, sizes) is never believed. Python's own data filter for tar is
asked first, our rules come after it.
"""

import errno
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from mmicl.errors import DataError, UserError
from mmicl.fetch.limits import Budget
from mmicl.fetch.uri import ARCHIVES, check_name

BLOCK = 1 << 20
BROKEN = (
    tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError,
    RecursionError,  # a tar's headers of headers
)  # fmt: skip
MAX_HEADERS = 1 << 20
"""Bytes of a tar's member before its content: long names and the like, which Python reads whole."""
HEADERS = (
    tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, tarfile.XHDTYPE, tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
)  # fmt: skip


@dataclass(frozen=True)
class Limits:
    """`members` entries, and at most `ratio` bytes out of one byte of the archive."""

    members: int = 5_000_000
    ratio: float = 200.0
    free: int = 64 << 20
    """Bytes that may come out whatever the ratio: small text packs well."""


def unpack(archive: Path, folder: Path, *, where: str, limits: Limits | None = None) -> list[str]:
    """Unpack `archive` into `folder`, which may hold other files already, and name what came out.

    Args:
        archive: A file whose name ends in one of `ARCHIVES`.
        folder: Where members go, by their own relative names.
        where: What to call the archive in messages.
        limits: Of members and ratio; the bytes are limited by the fetch's budget.

    Raises:
        DataError: It is broken, encrypted, over a limit, or holds a link, a device, an unsafe name
            or a name twice.
        UserError: Not an archive of these kinds, or over the budget.
    """
    if not archive.name.endswith(ARCHIVES):
        known = ", ".join(ARCHIVES)
        raise UserError("not an archive by its name", where=where, remedy=f"known are {known}")
    meter = _Meter(archive.stat().st_size, where, limits or Limits())
    members = _read_zip if archive.name.endswith(".zip") else _read_tar
    names: list[str] = []
    try:
        for name, is_folder, open_member in members(archive, meter):
            name = name.removeprefix("./").rstrip("/" if is_folder else "")
            if is_folder and name in ("", "."):
                continue
            target = folder / check_name(name, where)
            if is_folder:
                target.mkdir(parents=True, exist_ok=True)
            else:
                _write(target, open_member, meter)
                names.append(name)
    except (FileExistsError, NotADirectoryError, IsADirectoryError):
        raise DataError("holds a name twice, as a file and as a folder", where=where) from None
    except _HeadersTooLong:
        message = f"a member's name or header has more than {MAX_HEADERS} bytes"
        raise DataError(message, where=where) from None
    except BROKEN as error:
        raise DataError(f"not a whole archive ({error})", where=where) from None
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise
        raise DataError(f"cannot be unpacked ({error})", where=where) from None
    return names


class _Meter:
    """Counts members and bytes that come out."""

    def __init__(self, size: int, where: str, limits: Limits) -> None:
        self.where, self._limits, self._budget = where, limits, Budget()
        self._most = max(limits.ratio * size, limits.free)
        self._bytes = self._members = 0

    def count_member(self) -> None:
        self._members += 1
        if self._members > self._limits.members:
            message = f"holds more than {self._limits.members} members"
            raise DataError(message, where=self.where)

    def count_bytes(self, size: int) -> None:
        self._bytes += size
        self._budget.spend(size, self.where)
        if self._bytes > self._most:
            message = f"unpacks to more than {self._limits.ratio:g} times its size"
            raise DataError(message, where=self.where)


_Member = tuple[str, bool, Callable[[], IO[bytes]]]


class _HeadersTooLong(Exception):
    """A member of a tar has headers over the limit."""


class _TarInfo(tarfile.TarInfo):
    """A header that is looked at before Python reads what it says it has.

    All that stand before one member count together, since Python holds them at once.
    """

    def _proc_member(self, tar: tarfile.TarFile) -> tarfile.TarInfo:
        """Of `tarfile`, which names it as the one to override; `tar.offset` is the member's."""
        read = self.offset - tar.offset  # of the member's other headers
        if self.type in HEADERS and not 0 <= self.size <= MAX_HEADERS - read:
            raise _HeadersTooLong
        return super()._proc_member(tar)  # pyright: ignore[reportAttributeAccessIssue]


def _read_tar(archive: Path, meter: _Meter) -> Iterator[_Member]:
    mode = "r:" if archive.name.endswith(".tar") else "r:gz"
    with tarfile.open(archive, mode, tarinfo=_TarInfo) as tar:
        while (member := tar.next()) is not None:
            meter.count_member()
            if not (member.isfile() or member.isdir()):
                kind = "a link" if member.issym() or member.islnk() else "a device"
                raise DataError(f"{member.name} is {kind}", where=meter.where)
            yield member.name, member.isdir(), lambda member=member: _open(tar, member)
            # Else it remembers every member: a gigabyte for a million.
            tar.members = []  # pyright: ignore[reportAttributeAccessIssue]
        stream = tar.fileobj
        if stream is None or stream.tell() < tar.offset + tarfile.BLOCKSIZE:
            raise tarfile.ReadError("it ends without the block of zeros that ends a tar")


def _open(tar: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    stream = tar.extractfile(member)
    if stream is None:
        raise tarfile.ReadError(f"{member.name} has no content")
    return stream


def _read_zip(archive: Path, meter: _Meter) -> Iterator[_Member]:
    with zipfile.ZipFile(archive) as packed:
        for member in packed.infolist():
            meter.count_member()
            mode = member.external_attr >> 16
            if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise DataError(f"{member.filename} is a link or a device", where=meter.where)
            if member.flag_bits & 1:
                raise DataError(f"{member.filename} is encrypted", where=meter.where)
            yield member.filename, member.is_dir(), lambda m=member: packed.open(m)


def _write(target: Path, open_member: Callable[[], IO[bytes]], meter: _Meter) -> None:
    if target.exists():
        raise DataError(f"{target.name} is there twice", where=meter.where)
    target.parent.mkdir(parents=True, exist_ok=True)
    with open_member() as source, target.open("xb") as out:
        while block := source.read(BLOCK):
            meter.count_bytes(len(block))
            out.write(block)
