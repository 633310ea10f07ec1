"""Decoding of pictures from outside, within bounds that are checked before pixels are made.

A picture is refused with a reason (`ImageError.reason`, the quarantine's column) rather than
repaired: Pillow's LOAD_TRUNCATED_IMAGES stays off, since a grey lower half is a wrong picture.
"""

import hashlib
import io
import struct
import warnings
import zlib
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from mmicl.errors import DataError
from mmicl.images.look import hash_look

FORMATS = ("JPEG", "PNG", "WEBP")
MAX_BYTES = 64 * 2**20
"""A 50 MP JPEG of the best quality stays well below this."""
MAX_PIXELS = 50_000_000
"""150 MB of RGB; the largest pictures of the benchmarks (VizWiz, WebSRC) have about 24 MP."""

_STORABLE = ("RGB", "L")
"""Modes whose official bytes are stored as they are: `convert("RGB")` on them loses nothing."""


class ImageError(DataError):
    """A picture that cannot be used; `reason` is one word for the quarantine."""

    def __init__(self, reason: str, message: str, *, where: object = None) -> None:
        super().__init__(message, where=where)
        self.reason = reason


@dataclass(frozen=True)
class Picture:
    """A checked picture as the store keeps it.

    `key` is the sha256 of the official file's bytes, `data` the encoded bytes that are stored
    (the official ones, or an RGB PNG made from them), `look` what `mmicl.images.look` says of it.
    """

    key: str
    data: bytes
    width: int
    height: int
    look: str


def read_picture(path: Path) -> Picture:
    """Read, check and, where its mode needs it, normalise one picture file.

    Raises:
        ImageError: The file is missing, too large, of another format, animated, of a mode whose
            range is not known (16 bits a channel, float), or does not decode to its end.
    """
    try:
        size = path.stat().st_size
    except OSError:
        raise ImageError("missing_image", "no such picture", where=path.name) from None
    if not path.is_file():
        raise ImageError("missing_image", "not a regular file", where=path.name)
    if size > MAX_BYTES:
        message = f"{size} bytes, more than {MAX_BYTES}"
        raise ImageError("too_many_bytes", message, where=path.name)
    return check_picture(path.read_bytes(), path.name)


def check_picture(data: bytes, name: str) -> Picture:
    """Decode `data` to its end and decide what is stored for it.

    Raises:
        ImageError: As `read_picture`.
    """
    if not data:
        raise ImageError("empty_file", "holds no bytes", where=name)
    key = hashlib.sha256(data).hexdigest()
    with _open(data, name) as image:
        width, height = image.size
        if image.format == "PNG":
            _check_depth(data, name)
        _load(image, name)
        stored = image
        if image.mode not in _STORABLE:
            stored = _flatten(image, name)
            data = encode_png(stored)
        look = hash_look(stored)
    return Picture(key, data, width, height, look)


def decode(data: bytes, name: str) -> Image.Image:
    """Decode stored bytes to an RGB picture.

    The EXIF orientation is not applied: the official boxes are in the stored pixels' frame.

    Raises:
        ImageError: As `read_picture`.
    """
    with _open(data, name) as image:
        _load(image, name)
        return image.convert("RGB")


def encode_png(image: Image.Image) -> bytes:
    """Encode losslessly and fast (level 1: a third larger than the best, five times quicker)."""
    stream = io.BytesIO()
    image.save(stream, format="PNG", compress_level=1)
    return stream.getvalue()


def _open(data: bytes, name: str) -> Image.Image:
    """Read the header alone, and hold it against the bounds."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(data), formats=FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        message = f"more than {MAX_PIXELS} pixels"
        raise ImageError("too_many_pixels", message, where=name) from None
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, struct.error):
        message = "not a JPEG, PNG or WebP picture"
        raise ImageError("unknown_format", message, where=name) from None
    width, height = image.size
    if width * height > MAX_PIXELS:
        message = f"{width} x {height} pixels, more than {MAX_PIXELS}"
        raise ImageError("too_many_pixels", message, where=name)
    # A JPEG with a preview behind it (MPO) is one picture; animated PNG and WebP are not.
    if image.format in FORMATS and getattr(image, "is_animated", False):
        raise ImageError("animated", "an animation, not a picture", where=name)
    return image


def _check_depth(png: bytes, name: str) -> None:
    """Refuse 16 bits a channel: Pillow halves those of colour without a word, to mode RGB.

    The header is the first chunk, and the depth follows its width and height (PNG, 11.2.1).
    """
    if png[12:16] == b"IHDR" and png[24] == 16:
        message = "16 bits a channel have no fixed range of 8 bits"
        raise ImageError("unsupported_mode", message, where=name)


def _load(image: Image.Image, name: str) -> None:
    """Decode the pixels to their end."""
    try:
        image.load()
    except (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error) as error:
        message = f"does not decode to its end ({error})"
        raise ImageError("truncated_image", message, where=name) from None


def _flatten(image: Image.Image, name: str) -> Image.Image:
    """Turn palette, transparency, CMYK and bilevel into RGB; transparency onto white."""
    if image.mode in ("I;16", "I;16B", "I;16L", "I", "F"):
        message = f"mode {image.mode} has no fixed range of 8 bits"
        raise ImageError("unsupported_mode", message, where=name)
    if not image.has_transparency_data:
        return image.convert("RGB")
    layers = image.convert("RGBA")
    page = Image.new("RGBA", layers.size, (255, 255, 255, 255))
    return Image.alpha_composite(page, layers).convert("RGB")
