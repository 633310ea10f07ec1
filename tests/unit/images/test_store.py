from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mmicl.errors import DataError
from mmicl.images import store as store_module
from mmicl.images.store import ImageStore, ImageWriter
from mmicl.records import BLANK_IMAGE, ImageBox, crop_reference


def picture(path: Path, seed: int) -> Path:
    pixels = np.random.default_rng(seed).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    return [picture(tmp_path / f"{seed}.png", seed) for seed in range(5)]


def write(folder: Path, files: list[Path]) -> list[str]:
    with ImageWriter(folder) as writer:
        return [writer.add_file(path) for path in files]


def test_pictures_come_back(tmp_path: Path, files: list[Path]) -> None:
    keys = write(tmp_path / "store", files)
    store = ImageStore([tmp_path / "store"])
    assert list(store.references()) == keys
    for key, path in zip(keys, files, strict=True):
        assert store.load(key).tobytes() == Image.open(path).tobytes()
        assert store.size(key) == (30, 20)
        assert key in store
        assert store.encoded(key) == path.read_bytes()


def test_crops_are_cut_and_held_to_the_picture(tmp_path: Path, files: list[Path]) -> None:
    (key,) = write(tmp_path / "store", files[:1])
    store = ImageStore([tmp_path / "store"])
    crop = crop_reference(key, ImageBox(2, 3, 12, 9))
    assert store.size(crop) == (10, 6) == store.load(crop).size
    assert crop in store
    whole = Image.open(files[0])
    assert store.load(crop).tobytes() == whole.crop((2, 3, 12, 9)).tobytes()
    for box in (ImageBox(0, 0, 31, 5), ImageBox(-1, 0, 5, 5), ImageBox(4, 4, 4, 9)):
        with pytest.raises(DataError, match="does not lie within 30 x 20"):
            store.load(crop_reference(key, box))


def test_blank_is_always_there(tmp_path: Path, files: list[Path]) -> None:
    write(tmp_path / "store", files[:1])
    store = ImageStore([tmp_path / "store"])
    assert BLANK_IMAGE in store
    blank = store.load(BLANK_IMAGE)
    assert blank.size == store.size(BLANK_IMAGE)
    assert blank.getcolors() == [(blank.width * blank.height, (127, 127, 127))]


def test_a_picture_may_lie_in_two_folders(tmp_path: Path, files: list[Path]) -> None:
    write(tmp_path / "one", files[:3])
    write(tmp_path / "two", files[2:])
    store = ImageStore([tmp_path / "one", tmp_path / "two"])
    assert len(store) == 5


def test_the_same_picture_is_stored_once(tmp_path: Path, files: list[Path]) -> None:
    keys = write(tmp_path / "store", [files[0], files[0]])
    assert keys[0] == keys[1]
    assert len(ImageStore([tmp_path / "store"])) == 1


def test_shards_and_batches_roll_over(
    tmp_path: Path, files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    size = files[0].stat().st_size
    monkeypatch.setattr(store_module, "BATCH_BYTES", size)
    monkeypatch.setattr(store_module, "SHARD_BYTES", 2 * size)
    keys = write(tmp_path / "store", files)
    assert len(list((tmp_path / "store").iterdir())) >= 2
    store = ImageStore([tmp_path / "store"])
    assert list(store.references()) == keys
    assert store.load(keys[-1]).tobytes() == Image.open(files[-1]).tobytes()


def test_equal_input_gives_equal_bytes(tmp_path: Path, files: list[Path]) -> None:
    for folder in ("one", "two"):
        write(tmp_path / folder, files)
    (one,), (two,) = (list((tmp_path / folder).iterdir()) for folder in ("one", "two"))
    assert one.read_bytes() == two.read_bytes()


def test_pixels_are_keyed_by_shape_and_values(tmp_path: Path) -> None:
    grey = np.arange(64, dtype=np.uint8).reshape(8, 8)
    with ImageWriter(tmp_path / "store") as writer:
        keys = [writer.add_pixels(grey), writer.add_pixels(grey.reshape(4, 16))]
        assert writer.add_pixels(grey.copy()) == keys[0]
    store = ImageStore([tmp_path / "store"])
    assert np.array_equal(np.asarray(store.load(keys[0]).convert("L")), grey)
    assert store.size(keys[1]) == (16, 4)


def test_what_is_missing_is_named(tmp_path: Path, files: list[Path]) -> None:
    with pytest.raises(DataError, match="no such picture store"):
        ImageStore([tmp_path / "nowhere"])
    write(tmp_path / "store", files[:1])
    store = ImageStore([tmp_path / "store"])
    with pytest.raises(DataError, match=r"0123.*no such picture"):
        store.load("0123")
    shard = next((tmp_path / "store").iterdir())
    shard.write_bytes(shard.read_bytes()[:200])
    with pytest.raises(DataError, match="not an Arrow file"):
        ImageStore([tmp_path / "store"])
