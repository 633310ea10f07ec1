"""MME: a question whose answer is yes and one whose answer is no about each picture.

As the release: one folder a sub-task, in it `<picture>.jpg` beside `<picture>.txt`, two lines of
question, tab, `Yes` or `No`. Pictures bear COCO's numbers, as in the original's same four
sub-tasks, over which they are dealt in turn. All of it is test; `n` counts images.
"""

import random
from pathlib import Path

from mmicl.world.plan import Plan
from mmicl.world.statements import SUBTASKS, sample_yes_no_pair
from mmicl.world.writers.common import Studio

FIRST_IMAGE = 300_001
"""Image ids are COCO's own: no other world dataset may use the same for other pictures."""


def write(plan: Plan, folder: Path, studio: Studio) -> None:
    """Write one folder a sub-task."""
    for index in range(plan.n):
        subtask = SUBTASKS[index % len(SUBTASKS)]
        pair = sample_yes_no_pair(random.Random(plan.stream("test", index)), "test", subtask)
        picture = folder / subtask / f"{FIRST_IMAGE + index:012d}.jpg"
        studio.draw_jpeg(pair.scene, picture)
        lines = f"{pair.yes}\tYes\n{pair.no}\tNo\n"
        picture.parent.mkdir(exist_ok=True)
        picture.with_suffix(".txt").write_text(lines, encoding="utf-8")
