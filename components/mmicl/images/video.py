"""Frames of videos from outside, within bounds that are checked before pixels are made.

As for pictures (`mmicl.images.decoding`), a video is refused with a reason rather than repaired: a
frame that the decoder had to guess at is a wrong picture. FFmpeg, within PyAV, is told the
container's format, since by itself it would also follow playlists to other files.
"""

import contextlib
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mmicl.images.decoding import ImageError

if TYPE_CHECKING:
    from av import VideoFrame
    from av.container import InputContainer

MAX_BYTES = 512 * 2**20
MAX_SECONDS = 600
"""The longest videos of the benchmarks (NExT-QA) have three minutes."""
MAX_FRAMES = MAX_SECONDS * 60
"""Decoded ones, whatever duration the file declares."""
MAX_PIXELS = 4096 * 2304


def sample_times(duration: Fraction, count: int) -> list[Fraction]:
    """MMICL's rule: frame i of 1 … count is the one shown at duration * i / (count + 1)."""
    return [duration * place / (count + 1) for place in range(1, count + 1)]


def read_frames(path: Path, count: int) -> list[np.ndarray]:
    """Decode the frames of an MP4 or AVI video that are shown at `sample_times`.

    Pixels are as coded, without rotation. Decoding ends with the last frame that is wanted, so
    what a file lacks behind it is not noticed.

    Returns:
        `count` RGB arrays (height, width, 3) uint8, in the order of time.

    Raises:
        ImageError: The file is missing, empty, too large, of another format, without a video
            stream, of an unknown codec, too long, of too many pixels, or does not decode to the
            last frame wanted.
    """
    head = _read_head(path)
    kind = "avi" if head[:4] == b"RIFF" and head[8:12] == b"AVI " else "mp4"
    from av.error import FFmpegError  # loaded where there is a video, not by every reader

    try:
        with _open(path, kind) as container:
            _check_stream(container, path.name)
            duration = _read_duration(container)
            if not duration:
                with _open(path, kind) as again:
                    duration = _add_up(again, path.name)
            _check_duration(duration, path.name)
            return _pick(container, sample_times(duration, count), path.name)
    except (FFmpegError, ValueError) as error:  # PyAV refuses some damage itself
        if kind == "mp4" and head[4:8] != b"ftyp":
            message = "neither an MP4 nor an AVI video"
            raise ImageError("unknown_format", message, where=path.name) from None
        told = error.strerror if isinstance(error, FFmpegError) else str(error)
        raise _truncated(told or "cut off", path.name) from None


@contextlib.contextmanager
def _open(path: Path, kind: str) -> Iterator["InputContainer"]:
    import av

    # Titles and the like need not be UTF-8, and nothing reads them.
    with (
        path.open("rb") as stream,
        av.open(stream, "r", format=kind, metadata_errors="replace") as container,
    ):
        yield container


def _read_head(path: Path) -> bytes:
    """The first bytes of a file that is there and within the bounds."""
    if not path.is_file():
        raise ImageError("missing_video", "no such video", where=path.name)
    size = path.stat().st_size
    if not size:
        raise ImageError("empty_file", "holds no bytes", where=path.name)
    if size > MAX_BYTES:
        message = f"{size} bytes, more than {MAX_BYTES}"
        raise ImageError("too_many_bytes", message, where=path.name)
    with path.open("rb") as stream:
        return stream.read(12)


def _check_stream(container: "InputContainer", name: str) -> None:
    """That there is a video stream, of a known codec and pixels within the bounds."""
    if not container.streams.video:
        raise ImageError("no_video_stream", "holds no video stream", where=name)
    stream = container.streams.video[0]
    if stream.codec_context is None:  # PyAV's way to say that FFmpeg has no decoder for it
        raise ImageError("unknown_format", "its video stream is of an unknown codec", where=name)
    _check_pixels(stream.width, stream.height, name)


def _read_duration(container: "InputContainer") -> Fraction:
    """What the file declares its video stream to last, in seconds; 0 if nothing.

    An AVI has one tick a frame and declares their number. That is read rather than the duration,
    which FFmpeg estimates by the bytes of the file: a truncated one would seem shorter but whole.
    """
    stream = container.streams.video[0]
    if container.format.name == "avi":
        return stream.frames * (stream.time_base or Fraction(0))
    if stream.duration is not None and stream.time_base is not None:
        return stream.duration * stream.time_base
    return Fraction(container.duration or 0, 1_000_000)


def _add_up(container: "InputContainer", name: str) -> Fraction:
    """How long all packets last, in seconds, for a file whose writer never came to declare it."""
    stream = container.streams.video[0]
    spans = []
    for packet in container.demux(stream):
        if packet.dts is not None:  # the one that ends them has none
            spans.append((packet.dts, packet.duration or 0))
        if len(spans) > MAX_FRAMES:
            raise ImageError("too_long", f"more than {MAX_FRAMES} frames", where=name)
    if not spans or stream.time_base is None:
        return Fraction(0)
    ticks = max(start + length for start, length in spans) - min(start for start, _ in spans)
    return ticks * stream.time_base


def _check_duration(duration: Fraction, name: str) -> None:
    if duration <= 0:
        raise ImageError("unknown_duration", "declares no duration", where=name)
    if duration > MAX_SECONDS:
        message = f"{float(duration):.0f} seconds, more than {MAX_SECONDS}"
        raise ImageError("too_long", message, where=name)


def _pick(container: "InputContainer", times: Sequence[Fraction], name: str) -> list[np.ndarray]:
    """The frames shown at ascending times: each until the next begins, the last to its end.

    Colours are converted by one thread: FFmpeg begins its threads anew for each frame, which took
    ten times as long as the frame.
    """
    picked: list[np.ndarray] = []
    shown: VideoFrame | None = None
    end = Fraction(0)
    for start, frame in _decode(container, name):
        while shown is not None and len(picked) < len(times) and times[len(picked)] < start:
            picked.append(shown.to_ndarray(format="rgb24", threads=1))
        if len(picked) == len(times):
            return picked
        shown, end = frame, start + (frame.duration or 0) * (frame.time_base or 0)
    for time in times[len(picked) :]:
        if shown is None or time >= end:
            raise _truncated(f"ends before {float(time):.2f} seconds", name)
        picked.append(shown.to_ndarray(format="rgb24", threads=1))
    return picked


def _decode(container: "InputContainer", name: str) -> Iterator[tuple[Fraction, "VideoFrame"]]:
    """The frames, each with the time at which it begins, in seconds from the first."""
    stream = container.streams.video[0]
    stream.codec_context.thread_count = 1
    first: Fraction | None = None
    for number, frame in enumerate(container.decode(stream)):
        if number == MAX_FRAMES:
            raise ImageError("too_long", f"more than {MAX_FRAMES} frames", where=name)
        if frame.is_corrupt or frame.pts is None or frame.time_base is None:
            raise _truncated(f"frame {number} is damaged", name)
        _check_pixels(frame.width, frame.height, name)
        time = frame.pts * frame.time_base
        first = time if first is None else first
        yield time - first, frame


def _check_pixels(width: int, height: int, name: str) -> None:
    if width * height > MAX_PIXELS:
        message = f"{width} x {height} pixels, more than {MAX_PIXELS}"
        raise ImageError("too_many_pixels", message, where=name)


def _truncated(detail: str, name: str) -> ImageError:
    message = f"does not decode to its last frame ({detail})"
    return ImageError("truncated_video", message, where=name)
