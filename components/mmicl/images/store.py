"""The content-addressed picture store: Arrow IPC shards, read by memory map.

One row a picture: its key (sha256 of the official file's bytes), the encoded bytes, width, height.
A dataset's shards lie in one folder; a store reads several folders, and the same picture may lie
in more than one of them.
"""

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType

import numpy as np
import pyarrow as pa
from PIL import Image

from mmicl.errors import DataError
from mmicl.images.ahead import Ahead
from mmicl.images.checks import Check, check_bytes, check_file, check_pixels, check_video
from mmicl.images.decoding import MAX_PIXELS, Picture, decode
from mmicl.images.look import PictureRow
from mmicl.images.names import Lender
from mmicl.records import BLANK_IMAGE, split_reference

SCHEMA = pa.schema(
    [
        pa.field("sha256", pa.string(), nullable=False),
        pa.field("data", pa.binary(), nullable=False),
        pa.field("width", pa.int32(), nullable=False),
        pa.field("height", pa.int32(), nullable=False),
    ]
)
BATCH_BYTES = 16 * 2**20
SHARD_BYTES = 512 * 2**20
BLANK_SIZE = (64, 64)
BLANK_COLOUR = (127, 127, 127)


class ImageWriter:
    """Writes a new folder of shards; the folder is complete when the `with` block ends.

    Equal pictures in equal order give equal bytes. The caller makes the folder appear whole
    (`mmicl.files.replace_folder`).

    Args:
        folder: Of the shards.
        lender: Whose pictures are not stored again.
    """

    def __init__(self, folder: Path, lender: Lender | None = None) -> None:
        self.folder, self.lender = folder, lender
        self.ahead = Ahead()
        """What others have checked, for the pictures that come next."""
        self.sizes: dict[str, tuple[int, int]] = {}
        """key -> (width, height) of every picture written or borrowed so far."""
        self.checked = 0
        """Pictures that were checked so far, those among them that came again."""
        self._looks: dict[str, str] = {}
        self._rows: list[Picture] = []
        self._waiting = 0
        self._in_shard = 0
        self._shards = 0
        self._stream: pa.ipc.RecordBatchFileWriter | None = None

    def __enter__(self) -> "ImageWriter":
        self.folder.mkdir(parents=True, exist_ok=True)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self._flush()
        self._close()

    def add_file(self, path: Path) -> str:
        """Check and store one official picture file; returns its key.

        Raises:
            ImageError: The picture cannot be used; `reason` says why.
        """
        return self._store(check_file(path))[0]

    def add_bytes(self, data: bytes, name: str) -> str:
        """Check and store one official picture that came within another file; returns its key.

        Raises:
            ImageError: The picture cannot be used; `reason` says why.
        """
        return self._store(check_bytes(data, name))[0]

    def add_pixels(self, pixels: np.ndarray) -> str:
        """Store a grey (height, width) or RGB (height, width, 3) uint8 array; returns its key.

        The key is the sha256 of shape and pixels, so that it does not depend on the PNG encoder.
        """
        check = check_pixels(pixels)
        return check.name if check.name in self.sizes else self._store(check)[0]

    def add_frames(self, path: Path, count: int) -> tuple[str, ...]:
        """Check and store frames of an official video; their keys in order of time.

        Raises:
            ImageError: The video cannot be used; `reason` says why.
        """
        return self._store(check_video(path, count))

    def borrow(self, picture: PictureRow) -> str:
        """Take a picture of the lender as it is; returns its key."""
        return self._note(picture.sha256, picture.width, picture.height, picture.look)

    @property
    def borrowed(self) -> int:
        """How many of the pictures are the lender's."""
        return sum(key in self.lender for key in self.sizes) if self.lender is not None else 0

    def describe(self) -> Iterator[PictureRow]:
        """What was written or borrowed, picture by picture in its order."""
        return map(self.row, self.sizes)

    def row(self, key: str) -> PictureRow:
        """A picture that was written or borrowed."""
        width, height = self.sizes[key]
        return PictureRow(sha256=key, width=width, height=height, look=self._looks[key])

    def _store(self, check: Check) -> tuple[str, ...]:
        """The keys of what a check gives."""
        self.checked += check.weight
        return tuple(self._add(picture) for picture in self.ahead.run(check))

    def _add(self, picture: Picture) -> str:
        if picture.key in self.sizes:
            return picture.key
        self._note(picture.key, picture.width, picture.height, picture.look)
        if self.lender is not None and picture.key in self.lender:
            return picture.key
        self._rows.append(picture)
        self._waiting += len(picture.data)
        if self._waiting >= BATCH_BYTES:
            self._flush()
        return picture.key

    def _note(self, key: str, width: int, height: int, look: str) -> str:
        if key not in self.sizes:
            self.sizes[key], self._looks[key] = (width, height), look
        return key

    def _flush(self) -> None:
        """Write the waiting pictures as one record batch; begin a new shard when one is full."""
        if not self._rows:
            return
        if self._stream is None:
            path = self.folder / f"{self._shards:05d}.arrow"
            self._stream = pa.ipc.new_file(str(path), SCHEMA)
            self._shards += 1
        columns = [
            [row.key for row in self._rows],
            [row.data for row in self._rows],
            [row.width for row in self._rows],
            [row.height for row in self._rows],
        ]
        arrays = [
            pa.array(column, field.type) for column, field in zip(columns, SCHEMA, strict=True)
        ]
        self._stream.write_batch(pa.record_batch(arrays, schema=SCHEMA))
        self._in_shard += self._waiting
        self._rows, self._waiting = [], 0
        if self._in_shard >= SHARD_BYTES:
            self._close()

    def _close(self) -> None:
        if self._stream is not None:
            self._stream.close()
        self._stream, self._in_shard = None, 0


class Scout(ImageWriter):
    """Notes what a reader would have checked, and writes nothing.

    What it says of a picture stands for what is not known yet: a key of its own, and a size that
    every box lies within.
    """

    def __init__(self, writer: ImageWriter) -> None:
        super().__init__(writer.folder, writer.lender)
        self.sizes = _AnySize()
        self.weight = self.size = 0
        """Pictures that the noted checks give, and bytes that they carry to another process."""
        self._checks: dict[str, Check] = {}
        self._known = writer.sizes

    def take(self) -> list[Check]:
        """What was noted since the last time."""
        checks, self._checks = list(self._checks.values()), {}
        self.weight = self.size = 0
        return checks

    def borrow(self, picture: PictureRow) -> str:
        """The key of a picture of the lender."""
        return picture.sha256

    def _store(self, check: Check) -> tuple[str, ...]:
        if check.name not in self._known and check.name not in self._checks:
            self._checks[check.name] = check
            self.weight += check.weight
            self.size += check.size
        return (hashlib.sha256(check.name.encode()).hexdigest(),) * check.weight


class _AnySize(dict[str, tuple[int, int]]):
    def __missing__(self, key: str) -> tuple[int, int]:
        return MAX_PIXELS, MAX_PIXELS


class ImageStore:
    """Reads pictures by image reference from one or more folders of shards.

    Raises:
        DataError: A folder is missing or a shard is not an Arrow file.
    """

    def __init__(self, folders: Iterable[Path]) -> None:
        self._batches: list[pa.RecordBatch] = []
        self._rows: dict[str, tuple[int, int]] = {}
        for folder in folders:
            if not folder.is_dir():
                raise DataError(
                    "no such picture store", where=folder, remedy="run the stage ingest"
                )
            for path in sorted(folder.glob("*.arrow")):
                for batch in _map_shard(path):
                    place = len(self._batches)
                    self._batches.append(batch)
                    for row, key in enumerate(batch.column("sha256").to_pylist()):
                        self._rows.setdefault(key, (place, row))

    def __contains__(self, reference: str) -> bool:
        return reference == BLANK_IMAGE or split_reference(reference)[0] in self._rows

    def __len__(self) -> int:
        return len(self._rows)

    def references(self) -> Iterator[str]:
        """The keys of all stored pictures, in the order of the shards."""
        yield from self._rows

    def size(self, reference: str) -> tuple[int, int]:
        """Width and height in pixels of what `load` would give.

        Raises:
            DataError: No such picture, or the crop does not lie within it.
        """
        if reference == BLANK_IMAGE:
            return BLANK_SIZE
        key, box = split_reference(reference)
        batch, row = self._find(key)
        width, height = batch.column("width")[row].as_py(), batch.column("height")[row].as_py()
        if box is None:
            return width, height
        if not (0 <= box.left < box.right <= width and 0 <= box.top < box.bottom <= height):
            message = f"the crop does not lie within {width} x {height} pixels"
            raise DataError(message, where=reference)
        return box.right - box.left, box.bottom - box.top

    def load(self, reference: str) -> Image.Image:
        """Decode a picture as RGB, cropped where the reference says so.

        Raises:
            DataError: As `size`.
        """
        if reference == BLANK_IMAGE:
            return Image.new("RGB", BLANK_SIZE, BLANK_COLOUR)
        self.size(reference)
        key, box = split_reference(reference)
        image = decode(self.encoded(key), key)
        return image if box is None else image.crop(box)

    def encoded(self, key: str) -> bytes:
        """The encoded bytes (JPEG, PNG or WebP) of a stored picture.

        Raises:
            DataError: No such picture.
        """
        batch, row = self._find(key)
        return batch.column("data")[row].as_buffer().to_pybytes()

    def _find(self, key: str) -> tuple[pa.RecordBatch, int]:
        try:
            place, row = self._rows[key]
        except KeyError:
            raise DataError(
                "no such picture in the store", where=key, remedy="run the stage ingest again"
            ) from None
        return self._batches[place], row


def _map_shard(path: Path) -> Iterator[pa.RecordBatch]:
    """The record batches of a shard; their buffers are pages of the file, read when touched."""
    try:
        reader = pa.ipc.open_file(pa.memory_map(str(path)))
    except (pa.ArrowInvalid, OSError) as error:
        raise DataError(f"not an Arrow file ({error})", where=path) from None
    for place in range(reader.num_record_batches):
        yield reader.get_batch(place)
