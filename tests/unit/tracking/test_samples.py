"""The page of sample predictions needs no other file and shows what was asked."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from mmicl.config import Config, check_config, load_config
from mmicl.errors import DataError
from mmicl.images.store import ImageWriter
from mmicl.paths import Paths
from mmicl.tracking.chain import dump_params
from mmicl.tracking.pairs import ITEMS
from mmicl.tracking.samples import draw_samples

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def config() -> Config:
    params = dump_params(load_config(ROOT / "profiles" / "tiny.yaml"))
    benchmarks = params["evaluate"]["benchmarks"]
    params["evaluate"]["benchmarks"] = {"winoground": benchmarks["winoground"]}
    return check_config(params, where="test")


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    """Ten items of two requests each, of which two are right."""
    paths = Paths(tmp_path, tmp_path / ".mmicl")
    pictures = []
    with ImageWriter(paths.images("winoground")) as writer:
        for index in range(2):
            picture = tmp_path / f"{index}.png"
            Image.new("RGB", (300, 200), (index * 90, 0, 0)).save(picture)
            pictures.append(writer.add_file(picture))
    answers: list[dict[str, Any]] = []
    for item in range(10):
        for key, target in (("c0i0", "yes"), ("c0i1", "no")):
            own = {
                "id": f"winoground/{item}#{key}", "item": str(item), "images": pictures,
                "prompt": f"image 0 is <image0>图. Does it fit {item}?", "target": target,
            }  # fmt: skip
            answers.append({**own, "control": "", "text": "<i>yes</i>"})
            answers.append({**own, "control": "blank", "text": "blank answer"})
    items = [
        {"benchmark": "winoground", "metric": metric, "item": str(item),
         "value": 100.0 if item < 2 else 0.0}
        for metric in ("text", "group") for item in range(10)
    ]  # fmt: skip
    paths.predictions.mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(answers), paths.predictions / "winoground.parquet")
    pq.write_table(pa.Table.from_pylist(items), paths.predictions / ITEMS)
    return paths


def test_page_shows_right_and_wrong_items_with_their_pictures(paths: Paths, config: Config) -> None:
    page = draw_samples(paths, config)
    assert "2 of 10 items score 50 points or more on text." in page
    assert (page.count('<article class="high">'), page.count('<article class="low">')) == (2, 3)
    assert page.count("data:image/jpeg;base64,") == 5 * 2
    assert page.count("expected <b>no</b>") == 5
    assert "blank answer" not in page
    assert "&lt;i&gt;yes" in page  # what a model writes is no markup
    assert "http" not in page
    assert draw_samples(paths, config) == page


def test_pictures_that_are_not_on_disk_are_named(paths: Paths, config: Config) -> None:
    for shard in paths.images("winoground").glob("*.arrow"):
        shard.unlink()
    page = draw_samples(paths, config)
    assert "data:image" not in page
    assert page.count("<code>") == 5 * 2


def test_missing_and_foreign_tables_are_named(paths: Paths, config: Config) -> None:
    (paths.predictions / "winoground.parquet").write_bytes(b"no table")
    with pytest.raises(DataError, match=r"winoground\.parquet: not a table of predictions"):
        draw_samples(paths, config)
    (paths.predictions / ITEMS).unlink()
    with pytest.raises(DataError, match=r"items\.parquet: no such file"):
        draw_samples(paths, config)
