"""Frames of real small videos, made here with the library that reads them."""

import subprocess
import sys
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from mmicl.images import video
from mmicl.images.decoding import ImageError
from mmicl.images.video import read_frames, sample_times

SIZE = (48, 32)
CODINGS = {
    "h264": ("libx264", "yuv444p", {"qp": "4"}),
    "mpeg4": ("mpeg4", "yuv420p", {"b": "2000000"}),
    "mpeg4 with B-frames": ("mpeg4", "yuv420p", {"b": "2000000", "bf": "2"}),
    "msmpeg4": ("msmpeg4", "yuv420p", {"b": "2000000"}),
    "mjpeg": ("mjpeg", "yuvj420p", {}),
}
"""Name -> FFmpeg's encoder, its pixel format, its options."""
GREY = [10 * number for number in range(20)]


def film(
    path: Path,
    shades: Sequence[int],
    *,
    rate: int | Fraction = 10,
    first: int = 0,
    noise: int = 0,
    options: dict[str, str] | None = None,
    coding: str = "h264",
) -> Path:
    """Grey frames as the path's suffix says, the first shown at `first` ticks of 1/rate seconds."""
    random = np.random.default_rng(7)
    codec, pixel_format, how = CODINGS[coding]
    kind = path.suffix.removeprefix(".")
    with av.open(str(path), "w", format=kind, options=options or {}) as container:
        stream = container.add_stream(codec, rate=rate, options=how)
        stream.width, stream.height = SIZE
        stream.pix_fmt = pixel_format
        stream.codec_context.thread_count = 1
        for number, shade in enumerate(shades):
            pixels = np.full((SIZE[1], SIZE[0], 3), shade, np.int16)
            pixels += random.integers(-noise, noise + 1, pixels.shape, dtype=np.int16)
            frame = av.VideoFrame.from_ndarray(pixels.clip(0, 255).astype(np.uint8), "rgb24")
            frame.pts, frame.time_base = first + number, 1 / Fraction(rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def shades(frames: Sequence[np.ndarray]) -> list[int]:
    """The grey of each frame, to the nearest ten."""
    return [round(float(frame.mean()) / 10) * 10 for frame in frames]


def refusal(path: Path, count: int = 4) -> str:
    with pytest.raises(ImageError) as caught:
        read_frames(path, count)
    assert "\n" not in str(caught.value)
    assert path.name in str(caught.value)
    return caught.value.reason


def test_times_by_the_rule_of_mmicl() -> None:
    assert sample_times(Fraction(10), 4) == [2, 4, 6, 8]
    assert sample_times(Fraction(3), 1) == [Fraction(3, 2)]


def test_frames_are_those_shown_at_the_times(tmp_path: Path) -> None:
    # 20 frames of a tenth of a second: 0.4, 0.8, 1.2 and 1.6 seconds are frames 4, 8, 12 and 16.
    path = film(tmp_path / "grey.mp4", [10 * number for number in range(20)])
    frames = read_frames(path, 4)
    assert shades(frames) == [40, 80, 120, 160]
    assert all(frame.shape == (*SIZE[::-1], 3) and frame.dtype == np.uint8 for frame in frames)
    # 2/3 and 4/3 of a second lie within frames 6 and 13.
    assert shades(read_frames(path, 2)) == [60, 130]


def test_few_frames_are_shown_more_than_once(tmp_path: Path) -> None:
    path = film(tmp_path / "two.mp4", [50, 200], rate=1)
    assert shades(read_frames(path, 4)) == [50, 50, 200, 200]


def test_times_count_from_the_first_frame(tmp_path: Path) -> None:
    grey = [10 * number for number in range(20)]
    late = film(tmp_path / "late.mp4", grey, first=30)
    assert shades(read_frames(late, 4)) == [40, 80, 120, 160]


@pytest.mark.parametrize("share", [0.3, 0.6])
@pytest.mark.parametrize("flags", ["", "+faststart"])
def test_a_truncated_video_is_refused(tmp_path: Path, share: float, flags: str) -> None:
    options = {"movflags": flags} if flags else {}
    path = film(tmp_path / "cut.mp4", [100] * 20, noise=60, options=options)
    whole = path.read_bytes()
    # With faststart the index comes first and says that there are twenty frames.
    assert (whole.index(b"moov") < whole.index(b"mdat")) == bool(flags)
    path.write_bytes(whole[: int(len(whole) * share)])
    assert refusal(path) == "truncated_video"


@pytest.mark.parametrize("coding", CODINGS)
def test_frames_of_an_avi_are_those_shown_at_the_times(tmp_path: Path, coding: str) -> None:
    path = film(tmp_path / "grey.avi", GREY, coding=coding)
    assert path.read_bytes()[8:12] == b"AVI "
    assert shades(read_frames(path, 4)) == [40, 80, 120, 160]
    assert shades(read_frames(path, 2)) == [60, 130]


def test_an_avi_with_b_frames_has_some(tmp_path: Path) -> None:
    path = film(tmp_path / "grey.avi", GREY, coding="mpeg4 with B-frames")
    with av.open(str(path)) as container:
        shown = [packet.pts for packet in container.demux() if packet.pts is not None]
    assert shown != sorted(shown)


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("rate", [25, Fraction(30000, 1001)])
def test_an_avi_is_timed_by_its_own_rate(tmp_path: Path, rate: int | Fraction, coding: str) -> None:
    # 75 frames: the times are 15, 30, 45 and 60 frames, whatever a frame takes.
    path = film(tmp_path / "long.avi", [3 * number for number in range(75)], rate=rate,
                coding=coding)  # fmt: skip
    assert [float(frame.mean()) for frame in read_frames(path, 4)] == pytest.approx(
        [45, 90, 135, 180], abs=1.5
    )


def split_avi(data: bytes) -> tuple[bytearray, list[bytes]]:
    """What stands before an AVI's chunks of frames, and those, each with its name and size."""
    start = data.index(b"movi") + 4
    end = data.index(b"idx1", start)
    chunks = []
    place = start
    while place < end:
        size = int.from_bytes(data[place + 4 : place + 8], "little")
        chunks.append(data[place : place + 8 + size + size % 2])
        place += len(chunks[-1])
    return bytearray(data[:start]), chunks


def write_uint(data: bytearray, place: int, value: int) -> None:
    data[place : place + 4] = value.to_bytes(4, "little")


@pytest.mark.parametrize("coding", CODINGS)
def test_an_avi_without_an_index_is_read(tmp_path: Path, coding: str) -> None:
    path = film(tmp_path / "grey.avi", GREY, coding=coding)
    head, chunks = split_avi(path.read_bytes())
    path.write_bytes(head + b"".join(chunks))
    assert shades(read_frames(path, 4)) == [40, 80, 120, 160]


@pytest.mark.parametrize("coding", CODINGS)
def test_an_avi_that_declares_no_length_is_as_long_as_its_frames(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, coding: str
) -> None:
    # As a recorder that was killed leaves it: no index, and no size or number filled in.
    path = film(tmp_path / "grey.avi", GREY, coding=coding)
    head, chunks = split_avi(path.read_bytes())
    for place in (4, head.index(b"avih") + 24, head.index(b"strh") + 40, len(head) - 8):
        write_uint(head, place, 0)
    path.write_bytes(head + b"".join(chunks))
    assert shades(read_frames(path, 4)) == [40, 80, 120, 160]
    path.write_bytes(head + b"".join(chunks[:10]))
    assert shades(read_frames(path, 4)) == [20, 40, 60, 80]
    monkeypatch.setattr(video, "MAX_FRAMES", 9)
    assert refusal(path) == "too_long"
    path.write_bytes(head)
    assert refusal(path) == "unknown_duration"


def test_a_frame_that_an_avi_leaves_out_is_the_one_before(tmp_path: Path) -> None:
    path = film(tmp_path / "grey.avi", GREY, coding="mjpeg")
    head, chunks = split_avi(path.read_bytes())
    for number in (4, 5, 11, 12):
        chunks[number] = b"00dc" + bytes(4)
    path.write_bytes(head + b"".join(chunks))
    assert shades(read_frames(path, 4)) == [30, 80, 100, 160]


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("kept", [3, 10, 15, 16])
@pytest.mark.parametrize("torn", [0, 9])
def test_a_truncated_avi_is_refused(tmp_path: Path, kept: int, torn: int, coding: str) -> None:
    path = film(tmp_path / "cut.avi", [100] * 20, noise=60, coding=coding)
    head, chunks = split_avi(path.read_bytes())
    path.write_bytes(head + b"".join(chunks[:kept]) + chunks[kept][:torn])
    assert refusal(path) == "truncated_video"


def test_damaged_frames_are_refused(tmp_path: Path) -> None:
    path = film(tmp_path / "torn.mp4", [100] * 20, noise=60)
    data = bytearray(path.read_bytes())
    middle = len(data) // 3
    data[middle : middle + 400] = b"\xff" * 400
    path.write_bytes(data)
    assert refusal(path) == "truncated_video"


def test_what_is_no_video_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path / "none.mp4") == "missing_video"
    assert refusal(tmp_path) == "missing_video"
    path = tmp_path / "made.mp4"
    for data, reason in (
        (b"", "empty_file"),
        (b"\0" * 4000, "unknown_format"),
        (b"GIF89a" + b"\0" * 4000, "unknown_format"),
        (b"RIFF\xff\xff\0\0WAVE" + b"\0" * 4000, "unknown_format"),
        (b"RIFF\xff\xff\0\0AVI " + b"\0" * 4000, "truncated_video"),
        (b"#EXTM3U\n#EXTINF:1,\nother.mp4\n", "unknown_format"),
        (b"ffconcat version 1.0\nfile other.mp4\n", "unknown_format"),
    ):
        path.write_bytes(data)
        assert refusal(path) == reason, data[:10]


@pytest.mark.parametrize(
    ("name", "coding", "code"), [("a.mp4", "h264", b"avc1"), ("a.avi", "mjpeg", b"MJPG")]
)
def test_an_unknown_codec_is_refused(tmp_path: Path, name: str, coding: str, code: bytes) -> None:
    path = film(tmp_path / name, GREY, coding=coding)
    path.write_bytes(path.read_bytes().replace(code, b"zzzz"))
    assert refusal(path) == "unknown_format"


@pytest.mark.parametrize(("name", "coding"), [("a.mp4", "h264"), ("a.avi", "mjpeg")])
def test_a_title_that_is_no_utf8_does_not_matter(tmp_path: Path, name: str, coding: str) -> None:
    path = film(tmp_path / name, GREY, coding=coding)
    data = path.read_bytes()
    assert b"Lavf" in data
    path.write_bytes(data.replace(b"Lavf", b"\xff\xfe\xff\xfe"))
    assert shades(read_frames(path, 4)) == [40, 80, 120, 160]


def test_what_pyav_itself_refuses_is_a_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise ValueError("no such pixels")

    path = film(tmp_path / "grey.mp4", GREY)
    monkeypatch.setattr(video, "_pick", refuse)
    assert refusal(path) == "truncated_video"


def test_sound_alone_is_no_video(tmp_path: Path) -> None:
    path = tmp_path / "sound.mp4"
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("aac", rate=16000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        frame.sample_rate = 16000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    assert refusal(path) == "no_video_stream"


@pytest.mark.parametrize(
    ("bound", "value", "reason"),
    [
        ("MAX_SECONDS", 1, "too_long"),
        ("MAX_FRAMES", 10, "too_long"),
        ("MAX_BYTES", 100, "too_many_bytes"),
        ("MAX_PIXELS", SIZE[0] * SIZE[1] - 1, "too_many_pixels"),
    ],
)
def test_bounds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bound: str, value: int, reason: str
) -> None:
    path = film(tmp_path / "grey.mp4", [100] * 20)
    assert len(read_frames(path, 4)) == 4
    monkeypatch.setattr(video, bound, value)
    assert refusal(path) == reason


def test_readers_do_not_load_ffmpeg_by_themselves() -> None:
    code = "import sys, mmicl.sources, mmicl.world; sys.exit('av' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
