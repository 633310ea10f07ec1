"""MSRVTT-QA: `{train,val,test}_qa.json` and videos/video<id>.mp4.

As the original, except that a video has one question, answers may have two words, and every video
is of the category animation. A video is a sequence of four states, one a second, so that the four
times of MMICL's rule (0.8, 1.6, 2.4 and 3.2 seconds) fall into one state each. `n` counts training
questions.
"""

import random
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from mmicl.world.attributes import SPLITS
from mmicl.world.episodes import sample_sequence
from mmicl.world.plan import Plan
from mmicl.world.rendering import render_scene
from mmicl.world.scenes import Scene
from mmicl.world.writers.common import Studio, save_json

STATES = 4
CODEC = "libx264"
OPTIONS = {"preset": "superfast", "qp": "6", "g": "1"}
"""Nearly without loss (no channel of a pixel is off by more than about 10 of 255), and every frame
by itself, so that a state that lasts decodes to equal frames, which the store keeps once."""
ANIMATION = 8


def write(plan: Plan, folder: Path, studio: Studio) -> None:
    """Write questions and videos; ids run through all splits, as in the original."""
    (folder / "videos").mkdir()
    first = 0
    for split in SPLITS:
        count = plan.count(split)
        questions = []
        for index in range(count):
            sequence = sample_sequence(random.Random(plan.stream(split, index)), split, STATES)
            number = first + index
            studio.do(draw_video, sequence.frames, folder / "videos" / f"video{number}.mp4")
            questions.append(
                {"answer": sequence.answer, "category_id": ANIMATION, "id": number,
                 "question": sequence.question, "video_id": number}
            )  # fmt: skip
        save_json(questions, folder / f"{split}_qa.json")
        first += count


def draw_video(frames: Sequence[Scene], path: Path) -> None:
    """Draw the states of a video, one that lasts once, and save them."""
    drawn = {state: render_scene(state) for state in dict.fromkeys(frames)}
    save_video([drawn[state] for state in frames], path)


def save_video(pictures: Sequence[Image.Image], path: Path) -> None:
    """Save pictures of one size as H.264, one a second.

    With full chroma, as the JPEGs here; in one thread, as the number of threads changes the bytes.
    """
    import av  # FFmpeg is loaded by this world alone

    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream(CODEC, rate=1, options=OPTIONS)
        stream.width, stream.height = pictures[0].size
        stream.pix_fmt = "yuv444p"
        stream.codec_context.thread_count = 1
        for picture in pictures:
            container.mux(stream.encode(av.VideoFrame.from_image(picture)))
        container.mux(stream.encode())
