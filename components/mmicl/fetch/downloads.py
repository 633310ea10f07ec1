"""Files of a remote source into a store under the state folder: in parts, in parallel, once.

The store outlives the dataset's folder (DVC removes that before each run of the stage), so that
what came once never comes again: `files/` holds the files, `record.jsonl` a line for each that is
whole, and the empty file `complete` says that they are all. Deleting a store fetches anew, and
accepts what the server has by then.
"""

import errno
import functools
import json
import shutil
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from mmicl.errors import DataError, UserError
from mmicl.fetch.limits import Budget
from mmicl.fetch.partial import PartialFile, Remote, RemoteFile
from mmicl.fetch.uri import Source
from mmicl.files import hash_file


@dataclass(frozen=True)
class Fetched:
    """A file that is whole: `size` in bytes, `version` as the server marked it."""

    name: str
    size: int
    sha256: str
    version: str | None
    origin: str


class Store:
    """What came from one source, and what is on its way."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._record, self._complete = folder / "record.jsonl", folder / "complete"
        self._lock = threading.Lock()
        (folder / "files").mkdir(parents=True, exist_ok=True)
        self.fetched = {entry.name: entry for entry in self._read_record()}

    def path(self, name: str) -> Path:
        """Where a file lies."""
        return self.folder / "files" / name

    def holds(self, entry: Fetched) -> bool:
        """Whether a recorded file still lies there, by its size."""
        path = self.path(entry.name)
        return path.is_file() and path.stat().st_size == entry.size

    def is_complete(self) -> bool:
        """Whether everything is there, so that nobody needs to be asked."""
        return self._complete.exists() and all(map(self.holds, self.fetched.values()))

    def add(self, entry: Fetched) -> None:
        """Record a file that is whole."""
        with self._lock, self._record.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(asdict(entry), sort_keys=True) + "\n")
            self.fetched[entry.name] = entry

    def list_fetched(self) -> list[Fetched]:
        """The files that are whole, by name."""
        return sorted(self.fetched.values(), key=lambda entry: entry.name)

    def finish(self) -> None:
        """Say that all files are there."""
        self._complete.touch()

    def _read_record(self) -> Iterator[Fetched]:
        if not self._record.exists():
            return
        text = self._record.read_text(encoding="utf-8")
        whole = text[: text.rfind("\n") + 1]  # a kill may leave half a line
        if whole != text:
            self._record.write_text(whole, encoding="utf-8")
        for line in whole.splitlines():
            yield Fetched(**json.loads(line))


def download(remote: Remote, store: Store, *, uri: str, sha256: str | None) -> list[Fetched]:
    """Bring a source's files into `store`: those that it does not hold already.

    Args:
        remote: The server.
        store: Where finished and partial files survive.
        uri: The source, for messages.
        sha256: What the only file of the source must hash to.

    Raises:
        DataError: A file changed upstream since it was fetched.
        ResourceError: The disk is full.
        TransientError: The server cannot be reached or breaks off, again and again.
        UserError: There is nothing, the server refuses, or a limit is reached.
    """
    listed = list(remote.list_files())
    if not listed:
        raise UserError("no file there", where=uri, remedy="check the address and ?include=")
    if sha256 and len(listed) > 1:
        raise UserError(f"sha256 pins one file, and there are {len(listed)}", where=uri)
    _check_unchanged(listed, store)
    wanted = []
    for file in listed:
        entry = store.fetched.get(file.name)
        if entry is None or not store.holds(entry):
            wanted.append(replace(file, sha256=sha256 or (entry.sha256 if entry else None)))
    budget = Budget()
    budget.check(sum(file.size or 0 for file in wanted), store.folder, uri)
    _fetch_all(remote, store, wanted, budget)
    store.finish()
    return store.list_fetched()


def adopt(files: dict[str, Path], store: Store, *, version: str, origin: str) -> list[Fetched]:
    """Take files that another library fetched into `store`, by hard links where that can be.

    Args:
        files: Relative name -> where it lies.
        store: Where they shall survive.
        version: Of all of them, such as a commit.
        origin: To which `/NAME` is added for each.

    Raises:
        DataError: A file is another one than when it was fetched before.
    """
    for name, path in files.items():
        sha256, before = hash_file(path), store.fetched.get(name)
        where = f"{origin}/{name}"
        if before and before.sha256 != sha256:
            message = f"changed upstream: its sha256 is {sha256}, not {before.sha256}"
            remedy = f"name a pinned version, or delete {store.folder} to take what is there now"
            raise DataError(message, where=where, remedy=remedy)
        link_file(path, store.path(name))
        store.add(Fetched(name, path.stat().st_size, sha256, version, where))
    store.finish()
    return store.list_fetched()


def link_file(path: Path, target: Path) -> None:
    """Give a file a second name, or copy it to where that cannot be (another disk)."""
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    try:
        target.hardlink_to(path)
    except OSError as error:
        if error.errno not in (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP):
            raise
        shutil.copyfile(path, target)


def _check_unchanged(listed: list[RemoteFile], store: Store) -> None:
    """Refuse a source of which a file that came earlier is another one by now."""
    versions = {file.name: file.version for file in listed}
    for name, entry in store.fetched.items():
        now = versions.get(name)
        if name not in versions or (entry.version and now and now != entry.version):
            what = (
                "is gone" if name not in versions else f"changed (now {now}, was {entry.version})"
            )
            remedy = f"name a pinned version, or delete {store.folder} to take what is there now"
            raise DataError(
                f"{what} upstream since it was fetched", where=entry.origin, remedy=remedy
            )


def check_pin(entries: list[Fetched], source: Source) -> None:
    """Refuse files that are not what the source's own `sha256` says.

    Raises:
        DataError: The digest is another one.
        UserError: It pins one file, and there are several.
    """
    if source.sha256 is None:
        return
    if len(entries) > 1:
        message = f"sha256 pins one file, and there are {len(entries)}"
        raise UserError(message, where=source.uri)
    if entries[0].sha256 != source.sha256:
        message = f"its sha256 is {entries[0].sha256}, not {source.sha256}"
        raise DataError(message, where=source.uri)


def _fetch_all(remote: Remote, store: Store, files: list[RemoteFile], budget: Budget) -> None:
    """Fetch parts of all files with the remote's number of threads, few of them waiting."""
    running: set[Future[None]] = set()
    with ThreadPoolExecutor(remote.workers) as pool:
        try:
            for file in files:
                for job in _plan(file, remote, store, budget):
                    running = _settle(running, 4 * remote.workers - 1)
                    running.add(pool.submit(job))
            _settle(running, 0)
        except BaseException:
            budget.stop()
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _settle(running: set[Future[None]], most: int) -> set[Future[None]]:
    """Wait until at most `most` jobs are left; the first that fails is raised at once."""
    while len(running) > most:
        done, running = wait(running, return_when=FIRST_COMPLETED)
        for future in done:
            future.result()
    return running


def _plan(
    file: RemoteFile, remote: Remote, store: Store, budget: Budget
) -> Iterator[Callable[[], None]]:
    """What is left to do for one file: its parts, of which the last to come finishes it."""
    partial = PartialFile(store.path(file.name), file)
    missing = partial.missing()
    left, lock = len(missing), threading.Lock()

    def finish() -> None:
        size, sha256 = partial.finish()
        store.add(Fetched(file.name, size, sha256, file.version, file.origin))

    def fetch(number: int) -> None:
        nonlocal left
        partial.fetch_part(number, remote, budget)
        with lock:
            left -= 1
            last = not left
        if last:
            finish()

    if not missing:  # an empty file, or one that a kill caught just before its name
        yield finish
    for number in missing:
        yield functools.partial(fetch, number)
