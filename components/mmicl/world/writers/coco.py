"""COCO 2017: captions and instances.

As the original, except that the world also has a labelled test split, in files of the same form
(`captions_test2017.json`, `instances_test2017.json`). Categories are the eight shapes; `n` counts
training images, each with five captions.
"""

import random
from pathlib import Path
from typing import Any

from PIL import Image

from mmicl.records import Split
from mmicl.world.attributes import SHAPES, SPLITS
from mmicl.world.language import write_captions, write_panel_captions
from mmicl.world.matrices import Panel, sample_panel
from mmicl.world.panels import render_panel
from mmicl.world.plan import Plan
from mmicl.world.rendering import SIZE, Placement, lay_out
from mmicl.world.scenes import sample_scene
from mmicl.world.writers.common import INFO, LICENSE, Studio, save_jpeg, save_json

PANEL_SHARE = 0.25
"""Of the training pictures."""

CATEGORIES = [
    {"supercategory": "shape", "id": number, "name": shape}
    for number, shape in enumerate(SHAPES, 1)
]


def write(plan: Plan, folder: Path, studio: Studio) -> None:
    """Write annotations/ and {train,val,test}2017/."""
    first = 1
    for split in SPLITS:
        write_split(plan, folder, studio, split, first)
        first += plan.count(split)


def write_split(plan: Plan, folder: Path, studio: Studio, split: Split, first: int) -> None:
    """Write one split, whose image ids begin at `first`.

    Some training pictures are panels of matrices, without instances: what they show has to be seen
    with its words somewhere before a matrix can be understood.
    """
    images, captions, instances = [], [], []
    for index in range(plan.count(split)):
        rng = random.Random(plan.stream(split, index))
        number = first + index
        image = make_image(number, f"{number:012d}.jpg")
        images.append(image)
        path = folder / f"{split}2017" / image["file_name"]
        if split == "train" and rng.random() < PANEL_SHARE:
            panel = sample_panel(rng)
            studio.do(draw_panel_jpeg, panel, path)
            captions += make_captions(number, write_panel_captions(panel))
            continue
        scene = sample_scene(rng, split, least=1 if rng.random() < 0.1 else 2)
        studio.draw_jpeg(scene, path)
        captions += make_captions(number, write_captions(scene, rng))
        instances += [
            make_instance(placement, number, number * 10 + place)
            for place, placement in enumerate(lay_out(scene))
        ]
    common = {"info": INFO, "licenses": [LICENSE], "images": images}
    annotations = folder / "annotations"
    save_json({**common, "annotations": captions}, annotations / f"captions_{split}2017.json")
    save_json(
        {**common, "annotations": instances, "categories": CATEGORIES},
        annotations / f"instances_{split}2017.json",
    )


def make_captions(image: int, captions: list[str]) -> list[dict[str, Any]]:
    """The entries of `annotations` of a captions file."""
    return [
        {"image_id": image, "id": image * 10 + place, "caption": caption}
        for place, caption in enumerate(captions)
    ]


def draw_panel_jpeg(panel: Panel, path: Path) -> None:
    """Draw a panel in the size of the other pictures."""
    picture = Image.fromarray(render_panel(panel)).convert("RGB")
    save_jpeg(picture.resize((SIZE, SIZE)), path)


def make_image(number: int, file_name: str) -> dict[str, Any]:
    """An entry of `images`."""
    return {
        "license": LICENSE["id"],
        "file_name": file_name,
        "coco_url": "",
        "height": SIZE,
        "width": SIZE,
        "date_captured": "2026-01-01 00:00:00",
        "flickr_url": "",
        "id": number,
    }


def make_instance(placement: Placement, image: int, number: int) -> dict[str, Any]:
    """An entry of `annotations` of an instances file; bbox is x, y, width, height."""
    left, top, right, bottom = placement.box
    outline = placement.outline
    area = 0.5 * abs(
        sum(
            x * next_y - next_x * y
            for (x, y), (next_x, next_y) in zip(outline, outline[1:] + outline[:1], strict=True)
        )
    )
    return {
        "segmentation": [[round(value, 2) for point in outline for value in point]],
        "area": round(area, 2),
        "iscrowd": 0,
        "image_id": image,
        "bbox": [left, top, right - left, bottom - top],
        "category_id": SHAPES.index(placement.thing.shape) + 1,
        "id": number,
    }
