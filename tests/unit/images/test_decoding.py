import io
import struct
from zlib import compress, crc32

import numpy as np
import pytest
from PIL import Image

from mmicl.images import decoding
from mmicl.images.decoding import ImageError, check_picture, decode, read_picture


def encode(image: Image.Image, kind: str, **options) -> bytes:
    stream = io.BytesIO()
    image.save(stream, format=kind, **options)
    return stream.getvalue()


def noise(mode: str = "RGB", size: tuple[int, int] = (40, 30)) -> Image.Image:
    channels = len(Image.new(mode, (1, 1)).getbands())
    shape = (size[1], size[0]) if channels == 1 else (size[1], size[0], channels)
    pixels = np.random.default_rng(7).integers(0, 256, shape, dtype=np.uint8)
    return Image.fromarray(pixels, mode if channels != 1 else "L")


def refusal(data: bytes) -> str:
    with pytest.raises(ImageError) as caught:
        check_picture(data, "picture")
    assert "\n" not in str(caught.value)
    return caught.value.reason


@pytest.mark.parametrize(
    ("kind", "mode"),
    [("JPEG", "RGB"), ("JPEG", "L"), ("PNG", "RGB"), ("PNG", "L"), ("WEBP", "RGB")],
)
def test_official_bytes_are_kept(kind: str, mode: str) -> None:
    data = encode(noise(mode), kind)
    picture = check_picture(data, "picture")
    assert picture.data == data
    assert (picture.width, picture.height) == (40, 30)
    assert decode(picture.data, "picture").mode == "RGB"


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_truncated_picture_is_refused(kind: str) -> None:
    data = encode(noise(size=(200, 200)), kind)
    assert refusal(data[: len(data) // 2]) in ("truncated_image", "unknown_format")
    if kind != "WEBP":  # libwebp finds the missing end when the header is read
        assert refusal(data[: len(data) // 2]) == "truncated_image"


def test_transparency_goes_onto_white() -> None:
    clear = Image.new("RGBA", (4, 4), (255, 0, 0, 0))
    clear.putpixel((0, 0), (10, 20, 30, 255))
    picture = check_picture(encode(clear, "PNG"), "picture")
    image = decode(picture.data, "picture")
    assert image.getpixel((0, 0)) == (10, 20, 30)
    assert image.getpixel((3, 3)) == (255, 255, 255)


def test_palette_and_cmyk_become_rgb() -> None:
    palette = noise().quantize(8)
    stored = check_picture(encode(palette, "PNG"), "picture")
    assert Image.open(io.BytesIO(stored.data)).mode == "RGB"
    assert decode(stored.data, "p").tobytes() == palette.convert("RGB").tobytes()
    ink = check_picture(encode(noise("CMYK"), "JPEG"), "picture")
    assert Image.open(io.BytesIO(ink.data)).mode == "RGB"


def test_the_key_is_the_sha256_of_the_official_bytes_even_when_reencoded() -> None:
    import hashlib

    data = encode(noise("RGBA"), "PNG")
    picture = check_picture(data, "picture")
    assert picture.key == hashlib.sha256(data).hexdigest()
    assert picture.data != data


def test_animations_are_refused() -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    for kind in ("PNG", "WEBP"):
        assert refusal(encode(frames[0], kind, save_all=True, append_images=frames[1:])) == (
            "animated"
        )


def test_other_formats_and_modes_are_refused() -> None:
    assert refusal(encode(noise(), "GIF")) == "unknown_format"
    assert refusal(b"") == "empty_file"
    assert refusal(b"<svg/>") == "unknown_format"
    deep = Image.fromarray(np.full((4, 4), 40_000, dtype=np.uint16))
    assert refusal(encode(deep, "PNG")) == "unsupported_mode"


def write_png(depth: int, colour: int, channels: int) -> bytes:
    """A PNG of 4 x 4 noise from the specification (Pillow writes no 16 bits but grey)."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", crc32(name + data))

    row = 4 * channels * depth // 8
    rows = np.random.default_rng(3).integers(0, 256, (4, row), dtype=np.uint8)
    header = struct.pack(">IIBBBBB", 4, 4, depth, colour, 0, 0, 0)
    pixels = compress(b"".join(b"\0" + bytes(one) for one in rows))
    return b"".join(
        [b"\x89PNG\r\n\x1a\n", chunk(b"IHDR", header), chunk(b"IDAT", pixels), chunk(b"IEND", b"")]
    )


@pytest.mark.parametrize(("colour", "channels"), [(0, 1), (2, 3), (4, 2), (6, 4)])
def test_16_bits_a_channel_are_refused_whatever_mode_pillow_opens_them_in(
    colour: int, channels: int
) -> None:
    assert refusal(write_png(16, colour, channels)) == "unsupported_mode"
    assert check_picture(write_png(8, colour, channels), "picture").width == 4


def test_the_pixel_bound_is_held_against_the_header(monkeypatch: pytest.MonkeyPatch) -> None:
    data = encode(noise(size=(100, 100)), "PNG")
    monkeypatch.setattr(decoding, "MAX_PIXELS", 9_999)
    assert refusal(data) == "too_many_pixels"
    # No pixel was decoded: the same bytes cut off after the header are refused for their size.
    assert refusal(data[: len(data) // 2]) == "too_many_pixels"


def test_a_bomb_by_header_is_refused_without_a_warning(recwarn: pytest.WarningsRecorder) -> None:
    header = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + header
    data = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", crc32(chunk))
    data += struct.pack(">I", 0) + b"IDAT" + struct.pack(">I", crc32(b"IDAT"))
    assert refusal(data) == "too_many_pixels"
    assert not recwarn.list


def test_the_byte_bound_and_missing_files(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    big = tmp_path / "big.png"
    big.write_bytes(encode(noise(), "PNG"))
    monkeypatch.setattr(decoding, "MAX_BYTES", 100)
    for path, reason in ((big, "too_many_bytes"), (tmp_path / "no.png", "missing_image")):
        with pytest.raises(ImageError) as caught:
            read_picture(path)
        assert caught.value.reason == reason
        assert str(tmp_path) not in str(caught.value)


def test_a_jpeg_with_a_preview_is_one_picture() -> None:
    stream = io.BytesIO()
    noise().save(stream, format="MPO", save_all=True, append_images=[noise(size=(20, 15))])
    picture = check_picture(stream.getvalue(), "picture")
    assert (picture.width, picture.height) == (40, 30)
    assert decode(picture.data, "picture").size == (40, 30)
