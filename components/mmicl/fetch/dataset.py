"""Fetch one dataset: resumable, whole or not at all, with a manifest at the end."""

import errno
import shutil
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock

from mmicl.errors import DataError, ResourceError, UserError
from mmicl.fetch.manifest import (
    MANIFEST,
    Manifest,
    describe_files,
    read_manifest,
    write_manifest,
)
from mmicl.fetch.uri import Source, locate_folder, parse_source
from mmicl.files import hash_json, replace_folder

Generate = Callable[[str, dict[str, int], Path], None]
"""`mmicl.world.generate`: name, options, folder. Handed in, since the world lies above fetch."""


def fetch_dataset(
    source: str, folder: Path, *, licence: str, state: Path, root: Path, generate: Generate
) -> Manifest:
    """Bring a dataset's official files into `folder` and describe them in its manifest.json.

    Copies go to a folder below `state` first, so that a second try after a kill copies only what
    is missing (a file counts as there when size and modification time agree). A `folder` that
    already holds exactly the source's files is left as it is.

    Args:
        source: The source URI (`mmicl.fetch.uri`).
        folder: Where the files shall lie.
        licence: Goes into the manifest.
        state: Where partial fetches survive.
        root: The checkout, to which folder sources are relative.
        generate: Renders a procedural world.

    Raises:
        UserError: The URI, the alias or the folder is wrong, or a link leads out of the folder.
        DataError: A file cannot be read.
        ResourceError: The disk is full.
    """
    parsed = parse_source(source)
    partial = state / hash_json([source, folder.name])[:16]
    partial.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(partial.with_suffix(".lock")):
        if parsed.kind == "world":
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir()
            generate(parsed.name, parsed.options, partial)
        else:
            files = list_files(parsed, locate_folder(parsed, root))
            if present := _find_present(folder, source, licence, files):
                return present
            _copy_files(files, partial)
        manifest = describe_files(partial, source=source, origin=parsed.origin, licence=licence)
        write_manifest(partial, manifest)
        _publish(partial, folder)
    return manifest


def list_files(source: Source, folder: Path) -> dict[str, Path]:
    """The regular files of a source folder: relative name -> real path, sorted by name.

    Raises:
        UserError: A pattern of `include` matches nothing, there is no file at all, a link leads
            out of the folder or to a folder, or something is neither file nor folder.
    """
    found: dict[str, Path] = {}
    for pattern in source.include or ("**/*",):
        matches = [path for path in folder.glob(pattern) if path.is_symlink() or not path.is_dir()]
        if not matches:
            raise UserError(f"no file matches {pattern}", where=source.uri)
        for path in matches:
            name = path.relative_to(folder).as_posix()
            if not name.isprintable():
                raise UserError(f"{name!r} has unprintable signs in its name", where=source.uri)
            try:
                real = path.resolve(strict=True)
            except (OSError, RuntimeError):
                raise UserError(f"{name} is a broken link", where=source.uri) from None
            if not real.is_relative_to(folder):
                raise UserError(f"{name} is a link out of the folder", where=source.uri)
            if not real.is_file():
                raise UserError(f"{name} is not a regular file", where=source.uri)
            found[name] = real
    if MANIFEST in found:  # a fetched folder may itself be a source; another manifest.json may not
        try:
            read_manifest(folder)
        except DataError:
            message = f"the name {MANIFEST} is taken by a file of the dataset"
            raise UserError(message, where=source.uri, remedy="leave it out by ?include=") from None
        del found[MANIFEST]
    return dict(sorted(found.items()))


def _find_present(
    folder: Path, source: str, licence: str, files: dict[str, Path]
) -> Manifest | None:
    """The manifest of `folder` if it already holds what the source has, by names and sizes."""
    if not (folder / MANIFEST).is_file():
        return None
    try:
        manifest = read_manifest(folder)
    except DataError:
        return None
    wanted = {name: path.stat().st_size for name, path in files.items()}
    listed = {entry.path: entry.size for entry in manifest.files}
    lying = {
        path.relative_to(folder).as_posix(): path.stat().st_size
        for path in folder.rglob("*")
        if path.is_file() and path != folder / MANIFEST
    }
    same_source = manifest.source == source and manifest.licence == licence
    return manifest if same_source and wanted == listed == lying else None


def _copy_files(files: dict[str, Path], partial: Path) -> None:
    """Copy what `partial` lacks, and drop what does not belong there."""
    for path in list(partial.rglob("*")):
        if path.is_file() and path.relative_to(partial).as_posix() not in files:
            path.unlink()
    for name, path in files.items():
        target = partial / name
        there, here = path.stat(), target.stat() if target.is_file() else None
        if here and (here.st_size, here.st_mtime_ns) == (there.st_size, there.st_mtime_ns):
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        aside = target.with_name(target.name + ".part")
        try:
            shutil.copy2(path, aside)
            aside.chmod(0o644)
        except OSError as error:
            if error.errno == errno.ENOSPC:
                message = "the disk is full"
                raise ResourceError(message, where=name, remedy="free space, run again") from None
            raise DataError(f"cannot be copied ({error.strerror})", where=name) from None
        aside.replace(target)


def _publish(partial: Path, folder: Path) -> None:
    """Move the finished folder to its place: a rename, or a copy where disks differ."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    if folder.exists():
        shutil.rmtree(folder)
    try:
        partial.rename(folder)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        with replace_folder(folder) as aside:
            shutil.copytree(partial, aside, dirs_exist_ok=True)
        shutil.rmtree(partial)
