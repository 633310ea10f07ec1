"""Fetch one dataset: resumable, whole or not at all, with a manifest at the end."""

import errno
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from filelock import FileLock

from mmicl.errors import DataError, UserError
from mmicl.fetch.archives import unpack
from mmicl.fetch.downloads import Fetched, Store, adopt, check_pin, download, link_file
from mmicl.fetch.folders import copy_files, list_files
from mmicl.fetch.hub import fetch_snapshot
from mmicl.fetch.limits import explain_full_disk
from mmicl.fetch.manifest import (
    MANIFEST,
    FileEntry,
    Manifest,
    describe_files,
    read_manifest,
    write_manifest,
)
from mmicl.fetch.partial import Remote
from mmicl.fetch.uri import Source, locate_folder, parse_source
from mmicl.files import hash_file, hash_json, replace_folder

Generate = Callable[[str, dict[str, int], Path], None]
"""`mmicl.world.generate`: name, options, folder. Handed in, since the world lies above fetch."""


@dataclass(frozen=True)
class Found:
    """A file that lies on this machine; `fetched` says what is known of one that came from afar."""

    path: Path
    source: Source
    fetched: Fetched | None = None


def fetch_dataset(
    source: str, folder: Path, *, licence: str, state: Path, root: Path, generate: Generate
) -> Manifest:
    """Bring a dataset's official files into `folder` and describe them in its manifest.json.

    Copies go to a folder below `state` first, so that a second try after a kill copies only what
    is missing (a file counts as there when size and modification time agree). A `folder` that
    already holds exactly the source's files is left as it is. What comes over a network stays in a
    store below `state` (`mmicl.fetch.downloads`), of which `folder` gets hard links, so it comes
    once, also when `folder` is removed.

    Args:
        source: The source URI (`mmicl.fetch.uri`).
        folder: Where the files shall lie.
        licence: Goes into the manifest.
        state: Where partial fetches survive.
        root: The checkout, to which folder sources are relative.
        generate: Renders a procedural world.

    Raises:
        UserError: The URI, the alias or the folder is wrong, a link leads out of the folder, a
            server refuses, or a limit is reached.
        DataError: A file cannot be read, an archive is not safe, or a file changed upstream.
        ResourceError: The disk is full.
        TransientError: A server cannot be reached.
    """
    parsed = parse_source(source)
    partial = state / hash_json([source, folder.name])[:16]
    partial.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(partial.with_suffix(".lock")), explain_full_disk(source):
        if parsed.kind == "world":
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir()
            generate(parsed.name, parsed.options, partial)
            manifest = describe_files(partial, source, parsed.origin, licence)
        else:
            if present := _find_fetched(parsed, folder, licence):
                return present
            found = _collect_files(parsed, state, root)
            if present := _find_present(folder, source, licence, found):
                return present
            origins, archives = _fill(partial, found)
            manifest = describe_files(partial, source, parsed.origin, licence, origins, archives)
            _check_copies(manifest, found)
        write_manifest(partial, manifest)
        _publish(partial, folder)
    return manifest


def _collect_files(source: Source, state: Path, root: Path) -> dict[str, Found]:
    """All files of a source, on this machine by now: relative name -> where."""
    found: dict[str, Found] = {}
    for part in source.parts or (source,):
        if part.remote:
            files = _fetch_remote(part, state)
        else:
            listed = list_files(part, locate_folder(part, root))
            files = {name: Found(path, part) for name, path in listed.items()}
        if twice := sorted(found.keys() & files.keys()):
            raise UserError(f"{twice[0]} comes from two of the sources", where=source.uri)
        found |= files
    return found


def _fetch_remote(source: Source, state: Path) -> dict[str, Found]:
    """Bring one remote source into its store, which datasets with the same source share."""
    key = hash_json([source.address, source.include, source.path.as_posix()])[:16]
    store_folder = state / "downloads" / key
    store_folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(store_folder.with_suffix(".lock")):
        store = Store(store_folder)
        if store.is_complete():
            entries = store.list_fetched()
        elif source.kind == "hub":
            entries = _adopt_snapshot(source, store, state)
        else:
            entries = download(_open_remote(source), store, uri=source.uri, sha256=source.sha256)
    check_pin(entries, source)
    if MANIFEST in (entry.name for entry in entries):
        message = f"the name {MANIFEST} is taken by a file of the dataset"
        raise UserError(message, where=source.uri, remedy="leave it out by ?include=")
    return {entry.name: Found(store.path(entry.name), source, entry) for entry in entries}


def _open_remote(source: Source) -> Remote:
    """A web file or bucket; imported late, for their clients take longer than many a folder."""
    if source.kind == "web":
        from mmicl.fetch.web import WebFile

        return WebFile(source)
    from mmicl.fetch.buckets import BucketPrefix

    return BucketPrefix(source)


def _adopt_snapshot(source: Source, store: Store, state: Path) -> list[Fetched]:
    """Take a hub dataset's files out of the hub's cache."""
    snapshot = fetch_snapshot(source, state)
    if snapshot.place.is_file():
        path, files = source.path.parent, {snapshot.place.name: snapshot.place.resolve()}
    else:
        path, files = source.path, list_files(source, snapshot.place, within=snapshot.cache)
    origin = (PurePosixPath(f"{source.name}@{snapshot.commit}") / path).as_posix()
    return adopt(files, store, version=snapshot.commit, origin=f"hf://datasets/{origin}")


def _fill(partial: Path, found: dict[str, Found]) -> tuple[dict[str, str], list[FileEntry]]:
    """Put every file into `partial`, archives unpacked.

    Returns:
        The origin of each file that says more than the dataset's, and the archives.
    """
    packed = {name: file for name, file in found.items() if file.source.unpacks(name)}
    if packed:
        shutil.rmtree(partial, ignore_errors=True)  # unpacking begins anew
    plain = {name: file for name, file in found.items() if name not in packed}
    copy_files({name: file.path for name, file in plain.items() if not file.fetched}, partial)
    partial.mkdir(exist_ok=True)
    origins: dict[str, str] = {}
    for name, file in plain.items():
        if file.fetched:
            link_file(file.path, partial / name)
            origins[name] = file.fetched.origin
    archives = []
    for name, file in packed.items():
        origin = file.fetched.origin if file.fetched else name
        members = unpack(file.path, (partial / name).parent, where=origin)
        below = PurePosixPath(name).parent
        origins |= {(below / member).as_posix(): origin for member in members}
        sha256 = file.fetched.sha256 if file.fetched else hash_file(file.path)
        size = file.path.stat().st_size
        archives.append(FileEntry(path=name, size=size, sha256=sha256, origin=origin))
    if (partial / MANIFEST).exists():
        message = f"the name {MANIFEST} is taken by a file of the dataset"
        raise DataError(message, where=origins.get(MANIFEST))
    return origins, archives


def _check_copies(manifest: Manifest, found: dict[str, Found]) -> None:
    """Refuse a file that is no longer what came: a hard link was written to, or a disk failed."""
    for entry in manifest.files:
        file = found.get(entry.path)
        if file and file.fetched and file.fetched.sha256 != entry.sha256:
            remedy = f"delete {file.path} to fetch it again"
            raise DataError("changed on this disk since it came", where=entry.path, remedy=remedy)


def _find_fetched(source: Source, folder: Path, licence: str) -> Manifest | None:
    """The manifest of `folder` if all of its source is remote and it is whole by its own word."""
    if not all(part.remote for part in source.parts or (source,)):
        return None
    manifest = _read_same(folder, source.uri, licence)
    return manifest if manifest and _list_sizes(folder) == _listed_sizes(manifest) else None


def _find_present(
    folder: Path, source: str, licence: str, found: dict[str, Found]
) -> Manifest | None:
    """The manifest of `folder` if it already holds what the source has, by names and sizes."""
    manifest = _read_same(folder, source, licence)
    wanted = {name: file.path.stat().st_size for name, file in found.items()}
    same = manifest and wanted == _listed_sizes(manifest) == _list_sizes(folder)
    return manifest if same else None


def _read_same(folder: Path, source: str, licence: str) -> Manifest | None:
    """The manifest of `folder`, if it is of this source and licence."""
    if not (folder / MANIFEST).is_file():
        return None
    try:
        manifest = read_manifest(folder)
    except DataError:
        return None
    return manifest if (manifest.source, manifest.licence) == (source, licence) else None


def _listed_sizes(manifest: Manifest) -> dict[str, int]:
    return {entry.path: entry.size for entry in manifest.files}


def _list_sizes(folder: Path) -> dict[str, int]:
    return {
        path.relative_to(folder).as_posix(): path.stat().st_size
        for path in folder.rglob("*")
        if path.is_file() and path != folder / MANIFEST
    }


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
