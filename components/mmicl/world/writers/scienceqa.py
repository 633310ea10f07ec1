"""ScienceQA: multiple choice about a picture, with a hint before it that may mislead.

As the original's folder data/scienceqa: `problems.json`, `pid_splits.json` and
`images/<split>/<pid>/image.png`. Every problem has a picture, no lecture and no solution; `n`
counts training problems. The subsets `minitrain`, `minival` and `minitest` are left out.
"""

import random
from pathlib import Path
from typing import Any

from mmicl.world.attributes import SPLITS
from mmicl.world.hints import HintedQuestion, sample_hinted_question
from mmicl.world.plan import Plan
from mmicl.world.writers.common import Studio, save_json

IMAGE = "image.png"


def write(plan: Plan, folder: Path, studio: Studio) -> None:
    """Write problems.json, pid_splits.json and images/; problems are numbered from 1."""
    problems: dict[str, dict[str, Any]] = {}
    pids: dict[str, list[str]] = {split: [] for split in SPLITS}
    for split in SPLITS:
        for index in range(plan.count(split)):
            asked = sample_hinted_question(random.Random(plan.stream(split, index)), split)
            pid = str(len(problems) + 1)
            problems[pid] = make_problem(asked, split)
            pids[split].append(pid)
            studio.draw_png(asked.scene, folder / "images" / split / pid / IMAGE)
    save_json(problems, folder / "problems.json")
    save_json({**pids, "trainval": [*pids["train"], *pids["val"]]}, folder / "pid_splits.json")


def make_problem(asked: HintedQuestion, split: str) -> dict[str, Any]:
    """One problem with the original's fields; a problem without a hint has an empty one."""
    return {
        "question": asked.question,
        "choices": list(asked.choices),
        "answer": asked.answer,
        "hint": asked.hint,
        "image": IMAGE,
        "task": "closed choice",
        "grade": "grade2",
        "subject": "natural science",
        "topic": "physics",
        "category": "Materials",
        "skill": "Identify properties of an object",
        "lecture": "",
        "solution": "",
        "split": split,
    }
