"""Winoground: two pictures, two captions of the same words in another order.

As on the hub: `data/examples.jsonl` and `data/images/ex_<id>_img_<0|1>.png`. All of it is test; `n`
counts items.
"""

import random
from pathlib import Path

from mmicl.world.pairs import sample_swap
from mmicl.world.plan import Plan
from mmicl.world.writers.common import Studio, save_lines


def write(plan: Plan, folder: Path, studio: Studio) -> None:
    """Write data/examples.jsonl and data/images/."""
    records = []
    for index in range(plan.n):
        swap = sample_swap(random.Random(plan.stream("test", index)), "test")
        names = [f"ex_{index}_img_{side}" for side in range(2)]
        for name, scene in zip(names, swap.scenes, strict=True):
            studio.draw_png(scene, folder / "data" / "images" / f"{name}.png")
        records.append(
            {
                "id": index,
                "image_0": names[0],
                "image_1": names[1],
                "caption_0": swap.captions[0],
                "caption_1": swap.captions[1],
                "tag": swap.tag,
                "secondary_tag": "",
                "num_main_preds": 0 if swap.collapsed_tag == "Object" else 1,
                "collapsed_tag": swap.collapsed_tag,
            }
        )
    save_lines(records, folder / "data" / "examples.jsonl")
