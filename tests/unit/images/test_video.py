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


def film(
    path: Path,
    shades: Sequence[int],
    *,
    rate: int = 10,
    first: int = 0,
    noise: int = 0,
    options: dict[str, str] | None = None,
) -> Path:
    """An MP4 of grey frames, the first shown at `first` ticks of 1/rate seconds."""  # fmt: skip
    random = np.random.default_rng(7)
    with av.open(str(path), "w", format="mp4", options=options or {}) as container:
        stream = container.add_stream("libx264", rate=rate, options={"qp": "4"})
        stream.width, stream.height = SIZE
        stream.pix_fmt = "yuv444p"
        stream.codec_context.thread_count = 1
        for number, shade in enumerate(shades):
            pixels = np.full((SIZE[1], SIZE[0], 3), shade, np.int16)
            pixels += random.integers(-noise, noise + 1, pixels.shape, dtype=np.int16)
            frame = av.VideoFrame.from_ndarray(pixels.clip(0, 255).astype(np.uint8), "rgb24")
            frame.pts, frame.time_base = first + number, Fraction(1, rate)
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
        (b"#EXTM3U\n#EXTINF:1,\nother.mp4\n", "unknown_format"),
        (b"ffconcat version 1.0\nfile other.mp4\n", "unknown_format"),
    ):
        path.write_bytes(data)
        assert refusal(path) == reason, data[:10]


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
