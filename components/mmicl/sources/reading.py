"""What all readers share: finding and parsing official files, pictures, splits."""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from mmicl.errors import ConfigError, DataError, UserError
from mmicl.files import hash_file
from mmicl.images.decoding import ImageError
from mmicl.images.look import PictureRow
from mmicl.images.names import name_frame
from mmicl.images.store import ImageWriter
from mmicl.records import Example, Split
from mmicl.sources.json_stream import (
    JsonError,
    open_json,
    read_first,
    stream_array,
    stream_list,
    stream_object,
)
from mmicl.sources.official import Record, RecordError, dump_meta, write_plainly

MAX_NAME, MAX_PATH = 255, 4095
"""Bytes of a file's name, and of its whole path: of more, Linux makes an error."""
SPLITS: tuple[Split, ...] = ("train", "val", "test")

Parsed = TypeVar("Parsed")


def deal_group(group: str, shares: Mapping[Split, float]) -> Split:
    """Deal a group to a split by its name alone: other groups, order and dataset do not matter.

    Datasets over the same pictures name their groups alike (`coco-<image id>`), so that a picture
    lies in the same split of all of them.
    """
    digest = hashlib.sha256(f"split {group}".encode()).digest()
    place = int.from_bytes(digest[:8], "big") / 2**64
    for split in SPLITS:
        place -= shares.get(split, 0.0)
        if place < 0:
            return split
    return next(split for split in reversed(SPLITS) if shares.get(split))


@dataclass
class ReadContext:
    """One dataset while it is read.

    Raises:
        ConfigError: The shares of `resplit` do not add up to 1.
        UserError: What `named` names is not there.
    """

    dataset: str
    folder: Path
    writer: ImageWriter
    resplit: Mapping[Split, float] | None = None
    sources: dict[str, str] = field(default_factory=dict)
    """Tables that were read: relative path -> sha256."""
    unused: Counter[str] = field(default_factory=Counter)
    """What is sound but not taken, and how much of it."""
    digests: Counter[str] = field(default_factory=Counter)
    """Pictures whose bytes have the digest that their release notes, and those that have not."""
    named: Mapping[str, str] = field(default_factory=dict)
    """Official file or folder (`img/`) -> where it lies in this copy, if it is named otherwise."""
    frame_count: int = 0
    """Frames of each video."""
    _pictures: dict[str, str | ImageError] = field(default_factory=dict)
    _videos: dict[str, tuple[str, ...] | ImageError] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.folder = self.folder.resolve()
        if self.resplit is not None and abs(sum(self.resplit.values()) - 1) > 1e-6:
            where = f"datasets.{self.dataset}.resplit"
            raise ConfigError("the shares do not add up to 1", where=where)
        for official, own in self.named.items():
            self._check_named(official, own)

    def split(self, official: Split, group: str) -> Split:
        """The split of a record: the official one, or the one its group is dealt to."""
        return deal_group(group, self.resplit) if self.resplit else official

    def example(
        self, official: Split, own: str, *, group: str, meta: Mapping[str, Any], **fields: Any
    ) -> Example:
        """An Example in the split of its group; `own` is its id within the split.

        Raises:
            ValidationError: A field is not what `Example` wants.
        """
        split = self.split(official, group)
        return Example(
            id=f"{self.dataset}/{split}/{own}", dataset=self.dataset, split=split, group=group,
            meta=dump_meta(meta), **fields,
        )  # fmt: skip

    def stand_in(self, writer: ImageWriter) -> "ReadContext":
        """The same dataset with another writer; what it counts and notes stays apart."""
        return ReadContext(
            self.dataset, self.folder, writer, self.resplit, named=self.named,
            frame_count=self.frame_count,
            _pictures=dict(self._pictures), _videos=dict(self._videos),
        )  # fmt: skip

    # --- files --------------------------------------------------------------------------------
    def find(self, *names: str) -> Path | None:
        """The first of several official places that exists.

        Raises:
            DataError: It is a link that leads out of the dataset's folder.
        """
        places = (self.folder / self._place(name) for name in names)
        path = next((path for path in places if path.is_file()), None)
        return path and self._hold(path)

    def files(self, *patterns: str) -> list[Path]:
        """All files of some patterns, in the order of their official paths.

        A file that is named otherwise (`named`) stands for those of its official name.

        Raises:
            DataError: One is a link that leads out of the dataset's folder.
        """
        found = {path for pattern in patterns for path in self.folder.glob(pattern)}
        for official, own in self.named.items():
            if any(fnmatch(official, pattern.rpartition("/")[2]) for pattern in patterns):
                found = {path for path in found if path.name != official} | {self.folder / own}
        ordered = sorted(found, key=lambda path: path.with_name(self.official_name(path)))
        return [self._hold(path) for path in ordered if path.is_file()]

    def official_name(self, path: Path) -> str:
        """What the file of a path is officially called, without folders, by `named`."""
        names = (name for name, own in self.named.items() if self.folder / own == path)
        return PurePosixPath(next(names, path.name)).name

    def locate(self, name: str) -> Path:
        """Where a file that a record names lies in this copy, by `named`.

        Raises:
            RecordError: It leads out of the dataset's folder.
        """
        return self.safe_path(self._place(name))

    def _hold(self, path: Path) -> Path:
        """A table that was found by its name, refused where it is a link to the outside."""
        try:
            return self.safe_path(self.name(path))
        except RecordError as error:
            raise DataError(error.detail, where=self.dataset, remedy="put the file there") from None

    def _place(self, name: str) -> str:
        """Where the file of an official name lies, by `named`."""
        for official, own in self.named.items():
            if name == official:
                return own
            if official.endswith("/") and name.startswith(official):
                return f"{own.rstrip('/')}/{name.removeprefix(official)}"
        return name

    def _check_named(self, official: str, own: str) -> None:
        """Refuse a name that a user gave for an official one and that is not there.

        Raises:
            UserError: There is no such file (folder, for a folder) within the dataset's folder.
        """
        try:
            path = self.safe_path(own)
        except RecordError as error:
            raise UserError(error.detail, where=own, remedy="name one within it") from None
        if not (path.is_dir() if official.endswith("/") else path.is_file()):
            raise UserError(
                f"no such {official}", where=own, remedy="see --file and datasets.*.files"
            )

    def name(self, path: Path) -> str:
        """A file's name within the dataset."""
        return path.relative_to(self.folder).as_posix()

    def read_json(self, path: Path) -> Any:
        """Read a JSON file whole.

        Raises:
            DataError: It is not JSON; names the place.
        """
        data = path.read_bytes()
        self.sources[self.name(path)] = hashlib.sha256(data).hexdigest()
        try:
            return json.loads(data)
        except (ValueError, RecursionError) as error:
            raise DataError(
                f"not JSON ({error})", where=f"{self.dataset}: {self.name(path)}"
            ) from None

    def stream_section(self, path: Path, section: str, *, optional: bool = False) -> Iterator[Any]:
        """The entries of one list of a JSON file that is an object (COCO, VQA), one at a time.

        Raises:
            DataError: The file is not JSON, or has no such list and it is not optional.
        """
        return self._tell(path, stream_list(path, section, optional=optional))

    def stream_mapping(self, path: Path) -> Iterator[tuple[str, Any]]:
        """The entries of a JSON file that is an object of records, one at a time.

        Raises:
            DataError: The file is not JSON or no object.
        """
        return self._tell(path, stream_object(path))

    def read_records(self, path: Path, split: Split, key: str) -> Iterator[Record]:
        """Read JSON Lines, or one JSON array (official files use either under the name .json).

        A record's id is its field `key`, or its line where it has none. A line that is not a JSON
        object comes as a Record whose value is the error.

        Raises:
            DataError: An array file is not JSON, or a file is not in UTF-8.
        """
        if self._is_array(path):
            values = enumerate(self._tell(path, stream_array(path)), start=1)
        else:
            values = self._read_lines(path)
        for number, value in values:
            if isinstance(value, dict):
                identifier = write_plainly(str(value.get(key, f"record {number}")))
            else:
                identifier = f"record {number}"
                if not isinstance(value, RecordError):
                    value = RecordError("malformed", "not a JSON object")
            yield Record(split, identifier, self.name(path), value)

    def _is_array(self, path: Path) -> bool:
        try:
            with open_json(path) as stream:
                return read_first(stream) == b"["
        except JsonError as error:
            raise self._refuse(path, error) from None

    def _tell(self, path: Path, entries: Iterator[Parsed]) -> Iterator[Parsed]:
        """Entries of a file, which is noted as read; what is wrong with it names it."""
        if (name := self.name(path)) not in self.sources:  # some are read once for each list
            self.sources[name] = hash_file(path)
        try:
            yield from entries
        except JsonError as error:
            raise self._refuse(path, error) from None

    def _refuse(self, path: Path, error: JsonError) -> DataError:
        return DataError(str(error), where=f"{self.dataset}: {self.name(path)}")

    def _read_lines(self, path: Path) -> Iterator[tuple[int, Any]]:
        digest = hashlib.sha256()
        with path.open("rb") as stream:
            for number, line in enumerate(stream, start=1):
                digest.update(line)
                if not line.strip():
                    continue
                try:
                    yield number, json.loads(line)
                except (ValueError, RecursionError) as error:
                    yield number, RecordError("malformed_json", str(error))
        self.sources[self.name(path)] = digest.hexdigest()

    # --- pictures -----------------------------------------------------------------------------
    def image(self, *names: str) -> str:
        """Store an official picture, named by one or more places it may lie at; its reference.

        Where another dataset lends its pictures, the one at such a place there comes first, then
        the dataset's own, then one of the same file name there.

        Raises:
            RecordError: A name leads out of the dataset's folder.
            ImageError: No place has it, or the picture cannot be used.
        """
        lender = self.writer.lender
        if lender is not None and (lent := lender.find_path(*names)) is not None:
            return self.writer.borrow(lent)
        path = self._seek(names)
        if path is None:
            if lender is not None and (lent := lender.find_file(*names)) is not None:
                return self.writer.borrow(lent)
            more = f", and {lender.name} has none" if lender else ""
            raise ImageError("missing_image", f"no such picture{more}", where=names[0])
        return _once(self._pictures, self.name(path), lambda: self.writer.add_file(path))

    def list_pictures(self) -> Iterator[tuple[str, str]]:
        """Name and key of each official picture, and frame of a video, that was stored.

        Those of a kind are in the order of reading.
        """
        for name, key in self._pictures.items():
            if isinstance(key, str):
                yield name, key
        for name, keys in self._videos.items():
            if not isinstance(keys, ImageError):
                for number, key in enumerate(keys, start=1):
                    yield name_frame(name, number, len(keys)), key

    def frames(self, *names: str) -> tuple[str, ...]:
        """Store `frame_count` frames of an official video; their references in order of time.

        Where another dataset lends as many of the video, they are looked for as `image` does.

        Raises:
            RecordError: A name leads out of the dataset's folder.
            ImageError: No place has it, or the video cannot be used.
        """
        lender = self.writer.lender
        if lender is not None and (lent := self._borrow_frames(lender.find_path, names)):
            return lent
        path = self._seek(names)
        if path is None:
            if lender is not None and (lent := self._borrow_frames(lender.find_file, names)):
                return lent
            more = f", and {lender.name} has no {self.frame_count} frames of it" if lender else ""
            raise ImageError("missing_video", f"no such video{more}", where=names[0])
        return _once(
            self._videos, self.name(path), lambda: self.writer.add_frames(path, self.frame_count)
        )

    def _borrow_frames(
        self, find: Callable[..., PictureRow | None], videos: Sequence[str]
    ) -> tuple[str, ...]:
        """All frames of the first of several videos that the lender has them of; else none."""
        numbers = range(1, self.frame_count + 1)
        for video in videos:
            rows = [find(name_frame(video, number, self.frame_count)) for number in numbers]
            if found := [row for row in rows if row is not None]:
                return tuple(self.writer.borrow(row) for row in found)
        return ()

    def _seek(self, names: Sequence[str]) -> Path | None:
        """The first of several places that has a file."""
        paths = (self.locate(name) for name in names)
        return next((path for path in paths if path.is_file()), None)

    def safe_path(self, name: str) -> Path:
        """A path that a record names, held to the dataset's folder.

        Raises:
            RecordError: It leads out of it, by `..`, by being absolute, or by a link; or no file
                can have such a name.
        """
        relative = PurePosixPath(name)
        path = self.folder / relative
        too_long = _count_bytes(str(path)) > MAX_PATH or any(
            _count_bytes(part) > MAX_NAME for part in relative.parts
        )
        if too_long or "\0" in name:
            raise RecordError("malformed", f"{name!r} is no file name")
        outside = relative.is_absolute() or ".." in relative.parts
        try:
            outside = outside or not path.resolve().is_relative_to(self.folder)
        except RuntimeError:  # a link that leads to itself
            outside = True
        if outside:
            raise RecordError("path_outside", f"{name!r} leads out of the dataset's folder")
        return path

    def size(self, reference: str) -> tuple[int, int]:
        """Width and height in pixels of a picture that `image` has stored."""
        return self.writer.sizes[reference]


def _count_bytes(text: str) -> int:
    """Bytes of a name on disk; half a surrogate pair, refused elsewhere, counts as well."""
    return len(text.encode(errors="surrogatepass"))


Stored = TypeVar("Stored", str, tuple[str, ...])


def _once(known: dict[str, Stored | ImageError], name: str, store: Callable[[], Stored]) -> Stored:
    """What a file was stored as, or the error that it gave, from the first time on.

    Raises:
        ImageError: The file cannot be used.
    """
    if name not in known:
        try:
            known[name] = store()
        except ImageError as error:
            known[name] = error
    found = known[name]
    if isinstance(found, ImageError):
        raise found
    return found
