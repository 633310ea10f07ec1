"""RAVEN: `<configuration>/RAVEN_<i>_<train|val|test>.npz` and the rules as XML beside it.

As the original: `image` (16, 160, 160) uint8 holds eight context panels and eight candidates,
`target` the index of the right candidate, `predict` a label that the original's tools use (0).
Left out are the original's `structure` and `meta_*` arrays. `n` counts training puzzles over all
three configurations; the splits share no combination of rules.
"""

import random
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from mmicl.world.attributes import SPLITS
from mmicl.world.matrices import CONFIGURATIONS, Matrix, sample_matrix
from mmicl.world.panels import render_panel
from mmicl.world.plan import Plan
from mmicl.world.writers.common import Studio

RULE_NAMES = {
    "constant": "Constant",
    "progression": "Progression",
    "distribute_three": "Distribute_Three",
    "arithmetic": "Arithmetic",
}
ATTRIBUTE_NAMES = {"number": "Number", "shape": "Type", "size": "Size", "color": "Color"}


def write(plan: Plan, folder: Path, studio: Studio) -> None:
    """Write one folder per configuration, whose puzzles are numbered through all splits."""
    configurations = list(CONFIGURATIONS)
    counts = dict.fromkeys(configurations, 0)
    for split in SPLITS:
        for index in range(plan.count(split)):
            configuration = configurations[index % len(configurations)]
            matrix = sample_matrix(random.Random(plan.stream(split, index)), split, configuration)
            stem = f"RAVEN_{counts[configuration]}_{split}"
            counts[configuration] += 1
            (folder / configuration).mkdir(exist_ok=True)
            studio.do(save_puzzle, matrix, folder / configuration / f"{stem}.npz")
            studio.do(save_rules, matrix, folder / configuration / f"{stem}.xml")


def save_puzzle(matrix: Matrix, path: Path) -> None:
    """Save the sixteen panels and the target; numpy fixes the times inside the archive."""
    panels = [render_panel(panel) for panel in (*matrix.context, *matrix.candidates)]
    np.savez_compressed(path, image=np.stack(panels), target=matrix.answer, predict=0)


def save_rules(matrix: Matrix, path: Path) -> None:
    """Save rules and the entities' attributes in RAVEN's XML."""
    data = ElementTree.Element("Data")
    panels = ElementTree.SubElement(data, "Panels")
    for panel in (*matrix.context, *matrix.candidates):
        struct = ElementTree.SubElement(
            ElementTree.SubElement(panels, "Panel"), "Struct", name="Singleton"
        )
        component = ElementTree.SubElement(struct, "Component", id="0", name="Grid")
        layout = ElementTree.SubElement(
            component, "Layout", name=panel.configuration.title(), Number=str(panel.number),
            Position=str(list(panel.slots)), Uniformity="1",
        )  # fmt: skip
        for _ in panel.slots:
            ElementTree.SubElement(
                layout, "Entity", Type=str(panel.shape + 1), Size=str(panel.size),
                Color=str(panel.color), Angle="3",
            )  # fmt: skip
    rules = ElementTree.SubElement(ElementTree.SubElement(data, "Rules"), "Rule_Group", id="0")
    for attribute, rule in matrix.rules.items():
        ElementTree.SubElement(
            rules, "Rule", name=RULE_NAMES[rule], attr=ATTRIBUTE_NAMES[attribute]
        )
    path.write_bytes(ElementTree.tostring(data))
