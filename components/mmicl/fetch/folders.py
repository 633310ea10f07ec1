"""Files of a folder on this machine: listed with care, copied so that a kill costs little."""

import errno
import shutil
from pathlib import Path

from mmicl.errors import DataError, UserError
from mmicl.fetch.manifest import MANIFEST, read_manifest
from mmicl.fetch.uri import Source


def list_files(source: Source, folder: Path, within: Path | None = None) -> dict[str, Path]:
    """The regular files of a source folder: relative name -> real path, sorted by name.

    Links may lead anywhere below `within`, by default the folder itself.

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
            if not real.is_relative_to(within or folder):
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


def copy_files(files: dict[str, Path], partial: Path) -> None:
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
                raise
            raise DataError(f"cannot be copied ({error.strerror})", where=name) from None
        aside.replace(target)
