"""What was fetched: every file with its size and sha256, and where it came from."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from mmicl.errors import DataError
from mmicl.files import hash_file, read_json, write_json

MANIFEST = "manifest.json"


class FileEntry(BaseModel):
    """One file; `path` is relative to the manifest, with forward slashes, `size` in bytes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str
    size: int
    sha256: str


class Manifest(BaseModel):
    """The files of one dataset. No times and no path of this machine: equal files, equal bytes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str
    origin: str
    licence: str
    files: tuple[FileEntry, ...]


def describe_files(folder: Path, *, source: str, origin: str, licence: str) -> Manifest:
    """Hash every file below `folder`, except its own manifest."""
    files = []
    for path in sorted(folder.rglob("*"), key=lambda path: path.relative_to(folder).as_posix()):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and name != MANIFEST:
            entry = FileEntry(path=name, size=path.stat().st_size, sha256=hash_file(path))
            files.append(entry)
    return Manifest(source=source, origin=origin, licence=licence, files=tuple(files))


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write `manifest` into `folder`."""
    write_json(folder / MANIFEST, manifest.model_dump(mode="json"))


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
