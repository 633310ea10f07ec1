"""What is to be checked before it is stored: picture files, bytes, pixels and videos from outside.

A check holds by itself what it reads, so that another process can make it, ahead of the record
that shows the picture (`mmicl.images.ahead`).
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from mmicl.images.decoding import (
    MAX_BYTES,
    ImageError,
    Picture,
    check_picture,
    encode_png,
    read_picture,
)
from mmicl.images.look import hash_look
from mmicl.images.video import read_frames


@dataclass(frozen=True)
class Check:
    """One official picture, or the frames of one official video.

    Attributes:
        name: Tells it from all others of its dataset, and what a file holds now from before.
        run: Gives the pictures; raises ImageError where it cannot be used.
        official: The bytes, or the file of the bytes, that may be stored as they are.
        weight: How many pictures it gives.
        size: Bytes that it carries to another process.
    """

    name: str
    run: Callable[[], tuple[Picture, ...]]
    official: Path | bytes | None = None
    weight: int = 1
    size: int = 0

    def read(self) -> bytes:
        """The official bytes; none where other bytes are stored in any case."""
        if isinstance(self.official, Path):
            return self.official.read_bytes()
        return self.official or b""


def check_file(path: Path) -> Check:
    """A picture file."""
    return Check(_name_file(path), partial(_run_file, path), path)


def check_bytes(data: bytes, place: str) -> Check:
    """A picture that came within another file; `place` is what errors call it."""
    name = f"{place} {hashlib.sha256(data).hexdigest()}"
    return Check(name, partial(_run_bytes, data, place), data, size=len(data))


def check_pixels(pixels: np.ndarray) -> Check:
    """A grey (height, width) or RGB (height, width, 3) uint8 array; its name is its key."""
    return Check(hash_pixels(pixels), partial(_run_pixels, pixels), size=pixels.nbytes)


def check_video(path: Path, frames: int) -> Check:
    """Some frames of a video file (`read_frames`), in the order of time."""
    name = f"{_name_file(path)} {frames}"
    return Check(name, partial(_run_video, path, frames), weight=frames)


def hash_pixels(pixels: np.ndarray) -> str:
    """The key of an array: of shape and pixels, so that it does not depend on the PNG encoder."""
    return hashlib.sha256(f"uint8 {pixels.shape} ".encode() + pixels.tobytes()).hexdigest()


def _run_file(path: Path) -> tuple[Picture, ...]:
    return (read_picture(path),)


def _run_bytes(data: bytes, place: str) -> tuple[Picture, ...]:
    if len(data) > MAX_BYTES:
        message = f"{len(data)} bytes, more than {MAX_BYTES}"
        raise ImageError("too_many_bytes", message, where=place)
    return (check_picture(data, place),)


def _run_pixels(*frames: np.ndarray) -> tuple[Picture, ...]:
    """Pictures of arrays; equal ones are encoded once."""
    keys = [hash_pixels(pixels) for pixels in frames]
    unlike = dict(zip(keys, frames, strict=True))
    made = {key: _make_picture(key, pixels) for key, pixels in unlike.items()}
    return tuple(made[key] for key in keys)


def _run_video(path: Path, frames: int) -> tuple[Picture, ...]:
    return _run_pixels(*read_frames(path, frames))


def _make_picture(key: str, pixels: np.ndarray) -> Picture:
    height, width = pixels.shape[:2]
    image = Image.fromarray(pixels)
    return Picture(key, encode_png(image), width, height, hash_look(image))


def _name_file(path: Path) -> str:
    try:
        state = path.stat()
    except OSError:
        return f"{path} missing"
    return f"{path} {state.st_size} {state.st_mtime_ns}"
