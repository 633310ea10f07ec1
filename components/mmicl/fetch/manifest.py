"""What was fetched: every file with its size and sha256, and where it came from."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from pydantic import BaseModel, ConfigDict, ValidationError

from mmicl.errors import DataError
from mmicl.files import hash_file, read_json, write_json

MANIFEST = "manifest.json"


class FileEntry(BaseModel):
    """One file; `path` is relative to the manifest, with forward slashes, `size` in bytes.

    `origin` is its own address, or that of the archive it was in, where it has one; a file of a
    folder or a world has the dataset's.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str
    size: int
    sha256: str
    origin: str | None = None


class Manifest(BaseModel):
    """The files of one dataset. No times and no path of this machine: equal files, equal bytes.

    `licence` is that of every file; `archives` are those that some of the files were unpacked from.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str
    origin: str
    licence: str
    files: tuple[FileEntry, ...]
    archives: tuple[FileEntry, ...] = ()


def describe_files(
    folder: Path,
    source: str,
    origin: str,
    licence: str,
    origins: Mapping[str, str] = MappingProxyType({}),
    archives: Sequence[FileEntry] = (),
) -> Manifest:
    """Hash every file below `folder`, except its own manifest; `origins` are by relative name."""
    files = []
    for path in sorted(folder.rglob("*"), key=lambda path: path.relative_to(folder).as_posix()):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and name != MANIFEST:
            size, sha256 = path.stat().st_size, hash_file(path)
            entry = FileEntry(path=name, size=size, sha256=sha256, origin=origins.get(name))
            files.append(entry)
    return Manifest(
        source=source,
        origin=origin,
        licence=licence,
        files=tuple(files),
        archives=tuple(archives),
    )


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write `manifest` into `folder`; what says nothing is left out."""
    write_json(folder / MANIFEST, manifest.model_dump(mode="json", exclude_defaults=True))


def read_manifest(folder: Path) -> Manifest:
    """Read the manifest of a fetched folder.

    Raises:
        DataError: There is none, or it is not one of ours.
    """
    try:
        return Manifest.model_validate(read_json(folder / MANIFEST))
    except ValidationError as error:
        message = f"not the manifest of a fetched dataset ({error.error_count()} problems)"
        raise DataError(message, where=folder / MANIFEST) from None
