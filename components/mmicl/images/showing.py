"""Stored pictures for a person to look at: small copies, and the place of a crop."""

import base64
import io

from PIL import Image, ImageDraw

from mmicl.images.store import ImageStore
from mmicl.records import split_reference

FRAME = (230, 0, 70)
"""The colour of the frame around a crop: seldom that of an object."""
QUALITY = 85
"""Of JPEG, where a caller does not say."""


def draw_thumbnail(images: ImageStore, reference: str, side: int, quality: int = QUALITY) -> bytes:
    """What the model gets of a reference, crops cut out, as a JPEG of at most `side` pixels a side.

    Raises:
        DataError: No such picture, or the crop does not lie within it.
    """
    return _encode(images.load(reference), side, quality)


def draw_whole(images: ImageStore, reference: str, side: int) -> bytes:
    """The whole picture behind a reference, with a frame where a crop lies, as `draw_thumbnail`.

    Raises:
        DataError: As `draw_thumbnail`.
    """
    images.size(reference)
    key, box = split_reference(reference)
    picture = images.load(key)
    if box is not None:
        width = max(2, max(picture.size) // 200)
        frame = (box.left, box.top, box.right - 1, box.bottom - 1)
        ImageDraw.Draw(picture).rectangle(frame, outline=FRAME, width=width)
    return _encode(picture, side, QUALITY)


def write_address(jpeg: bytes) -> str:
    """A picture as a `data:` address, for a page that needs no other file."""
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}"


def _encode(picture: Image.Image, side: int, quality: int) -> bytes:
    picture.thumbnail((side, side))
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=quality)
    return stream.getvalue()
