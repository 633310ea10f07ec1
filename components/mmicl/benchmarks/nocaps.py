"""NoCaps: captions of photos with objects that COCO does not name, over all and by domain.

Each domain is scored on its own, as the evaluation server does: what CIDEr weighs an n-gram by
depends on the photos that are scored together.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from mmicl.benchmarks import coco_caption
from mmicl.benchmarks.benchmark import Columns, Item, mean
from mmicl.benchmarks.parts import read_meta

DOMAINS = {"in-domain": "in", "near-domain": "near", "out-domain": "out"}


def judge(items: Sequence[Item]) -> Columns:
    """As COCO's captions, and CIDEr within each domain."""
    columns = coco_caption.judge(items)
    domains = np.array([read_meta(item.example, "domain") for item in items])
    for official, name in DOMAINS.items():
        places = np.flatnonzero(domains == official)
        columns |= {f"CIDEr_{name}": np.zeros(len(items)), f"n_{name}": np.zeros(len(items))}
        if places.size:
            own = coco_caption.judge([items[place] for place in places.tolist()])
            columns[f"CIDEr_{name}"][places], columns[f"n_{name}"][places] = own["CIDEr"], 1
    return columns


NOCAPS = replace(
    coco_caption.COCO_CAPTION,
    name="nocaps",
    version="nocaps-val/pycocoevalcap-1.2",
    licence="captions CC BY 2.0; photos CC BY 2.0 (Open Images)",
    metrics={
        **coco_caption.COCO_CAPTION.metrics,
        **{f"CIDEr_{name}": mean(f"CIDEr_{name}", f"n_{name}") for name in DOMAINS.values()},
    },
    judge=judge,
    split="val",
    # MMICL's paper gives no figure that we know of.
)
