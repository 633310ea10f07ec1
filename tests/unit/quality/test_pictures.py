"""What the gate knows of pictures: how they look, their sizes, and how failing rows are shown."""

import io
from pathlib import Path
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from mmicl.config import load_config
from mmicl.files import read_rows, write_rows
from mmicl.images.look import BITS, PICTURES, PictureRow, hash_look
from mmicl.images.store import ImageStore, ImageWriter
from mmicl.paths import Paths
from mmicl.quality import contamination
from mmicl.quality.contamination import MAX_DISTANCE, find_alike
from mmicl.quality.pictures import count_lost, count_odd_sizes
from mmicl.quality.shown import show_failing

ROOT = Path(__file__).resolve().parents[3]


def photo(seed: int, size: tuple[int, int] = (320, 240)) -> Image.Image:
    """Smooth colours as a photo has them."""
    cells = np.random.default_rng(seed).integers(0, 256, (9, 12, 3), dtype=np.uint8)
    return Image.fromarray(cells).resize(size, Image.Resampling.BICUBIC)


def copy(image: Image.Image, size: tuple[int, int], kind: str, **options: int) -> Image.Image:
    stream = io.BytesIO()
    image.resize(size, Image.Resampling.LANCZOS).save(stream, kind, **options)
    return Image.open(stream)


def distance(one: str, other: str) -> int:
    return (int(one, 16) ^ int(other, 16)).bit_count()


@pytest.mark.parametrize("seed", range(5))
def test_a_copy_in_another_size_and_encoding_looks_the_same(seed: int) -> None:
    image = photo(seed)
    for other in (
        copy(image, (320, 240), "JPEG", quality=50),
        copy(image, (500, 375), "WEBP", quality=60),
        copy(image, (161, 119), "PNG"),
    ):
        assert distance(hash_look(image), hash_look(other)) <= MAX_DISTANCE


def test_other_pictures_look_different() -> None:
    looks = [hash_look(photo(seed)) for seed in range(20)]
    assert min(distance(looks[0], other) for other in looks[1:]) > 40
    red, blue = (Image.new("RGB", (64, 64), "white") for _ in range(2))
    red.paste((255, 0, 0), (16, 16, 48, 48))
    blue.paste((0, 0, 255), (16, 16, 48, 48))
    assert distance(hash_look(red), hash_look(blue)) > MAX_DISTANCE


def test_pictures_alike_are_found_across_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contamination, "PAIRS", 7)
    shown = {f"train-{seed:02d}": hash_look(photo(seed)) for seed in range(40)}
    asked = {
        f"test-{seed:02d}": hash_look(copy(photo(seed), (200, 150), "JPEG", quality=60))
        for seed in (3, 17, 38)
    } | {f"test-{seed:02d}": hash_look(photo(seed)) for seed in range(50, 80)}
    asked["train-05"] = shown["train-05"]  # the very picture: another rule's matter
    asked["broken"] = "no look"
    assert find_alike(asked, shown) == {
        "test-03": "train-03",
        "test-17": "train-17",
        "test-38": "train-38",
    }
    assert find_alike(asked, {}) == find_alike({}, shown) == {}


@given(st.randoms(use_true_random=False), st.integers(1, 60), st.integers(1, 60))
def test_no_pair_alike_is_missed(order: Random, ours: int, theirs: int) -> None:
    """Against every pair compared, among looks that lie near the bar on both sides."""
    centres = [order.getrandbits(BITS) for _ in range(3)]

    def draw() -> str:
        look = order.choice(centres)
        for bit in order.sample(range(BITS), order.randint(0, MAX_DISTANCE)):
            look ^= 1 << bit
        return f"{look:0{BITS // 4}x}"

    shown = {f"train {n}": draw() for n in range(theirs)}
    asked = {f"test {n}": draw() for n in range(ours)}
    nearest = {
        key: min((distance(look, other), name) for name, other in shown.items())
        for key, look in asked.items()
    }
    expected = {key: name for key, (bits, name) in nearest.items() if bits <= MAX_DISTANCE}
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(contamination, "PAIRS", order.choice([5, 1000]))
        assert find_alike(asked, shown) == expected


def test_sizes_and_places_of_pictures_and_crops() -> None:
    known = {"a": (40, 30), "thin": (400, 30)}
    assert count_lost(["a", "a@0,0,40,30", "a@39,29,40,30", "blank"], known) == 1
    assert count_lost(["b", "a@0,0,41,30", "a@5,5,5,9", "a@9,5,5,9"], known) == 4
    assert count_odd_sizes(["a", "a@0,0,8,8", "a@0,0,40,8"], known) == 0
    assert count_odd_sizes(["thin", "a@0,0,7,30", "b", "a@0,0,41,30"], known) == 2


def test_ingest_writes_down_every_picture(tmp_path: Path) -> None:
    with ImageWriter(tmp_path / "images") as writer:
        stream = io.BytesIO()
        photo(1).quantize(16).save(stream, "PNG")
        key = writer.add_bytes(stream.getvalue(), "palette.png")
        frame = writer.add_pixels(np.asarray(photo(2)))
        writer.add_pixels(np.asarray(photo(2)))
    write_rows(tmp_path / PICTURES, writer.describe(), PictureRow)
    rows = read_rows(tmp_path / PICTURES, PictureRow)
    assert [(row.sha256, row.width, row.height) for row in rows] == [
        (key, 320, 240),
        (frame, 320, 240),
    ]
    store = ImageStore([tmp_path / "images"])
    assert all(row.look == hash_look(store.load(row.sha256)) for row in rows)


def test_failing_rows_are_shown_with_their_pictures(tmp_path: Path) -> None:
    paths, config = Paths.here(tmp_path), load_config(ROOT / "profiles" / "tiny.yaml")
    with ImageWriter(paths.images("coco")) as writer:
        key = writer.add_pixels(np.asarray(photo(1)))
    row = {
        "id": "coco/train/1", "question": "what <b>is</b> it?", "choices": None, "target": None,
        "images": [key, f"{key}@0,0,20,20", "0" * 64, None, "x@y", key, key],
    }  # fmt: skip
    tables = {"examples": [row, {**row, "id": "sound"}], "samples": [row]}
    failed = {"table": "examples", "success": False, "ids": ["coco/train/1"]}
    passed = {"table": "examples", "success": True, "ids": ["sound"]}
    shown = show_failing([failed, passed], tables, {"coco/train/1": key}, config, paths)
    assert list(shown) == [("examples", "coco/train/1")]
    text = shown["examples", "coco/train/1"]
    assert text.count('src="data:image/jpeg;base64,') == 3
    assert "one looks like <img" in text
    assert text.count("<code>") == 2
    assert "and 2 more" in text
    assert "what &lt;b&gt;is&lt;/b&gt; it?" in text
    assert "<b>null</b>" in text
    bare = show_failing([failed], tables, {}, config, Paths.here(tmp_path / "bare"))
    assert "<img" not in bare["examples", "coco/train/1"]
