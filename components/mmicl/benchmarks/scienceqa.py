"""ScienceQA, the problems with a picture: the likeliest choice is the model's answer.

Beside the whole, the problems with a hint, without one, and those whose hint names a wrong choice:
who reads without looking loses there. The misled ones are among the hinted. `scienceqa_all` asks
the problems without a picture too: IMG and TXT are its parts.

Language bias as MMICL's paper measures it is the gap between the problems whose picture is not
needed and those whose picture is. It split them by hand; with its ids (language_bias.json) the
parts and the gap are counted, without them they are left out.
"""

from collections.abc import Callable

import numpy as np

from mmicl.benchmarks.benchmark import Metric, Sums, divide
from mmicl.benchmarks.paper import list_published
from mmicl.benchmarks.parts import Likeliest, declare, need, read_meta
from mmicl.records import Example

NEEDS: dict[str, Callable[[Example], bool]] = {
    "visual_need": lambda example: read_meta(example, "needs_image") is True,
    "no_visual_need": lambda example: read_meta(example, "needs_image") is False,
}


def _gap(sums: Sums) -> np.ndarray:
    """Points that are lost where the picture is needed."""
    without, needed = (
        divide(sums[f"right_{part}"], sums[f"n_{part}"])
        for part in ("no_visual_need", "visual_need")
    )
    return 100 * (without - needed)


class Biased(Likeliest):
    """The likeliest choice, with the gap between its parts of NEEDS."""

    @property
    def metrics(self) -> dict[str, Metric]:
        """Over all, by part, and the gap."""
        return {**super().metrics, "gap": Metric(_gap, ranked=False)}


SCIENCEQA = declare(
    Biased(
        {
            "hinted": lambda example: bool(read_meta(example, "hint")),
            "misled": lambda example: bool(read_meta(example, "misleads")),
            "no_hint": lambda example: not read_meta(example, "hint"),
            **NEEDS,
        }
    ),
    name="scienceqa",
    version="scienceqa/likeliest-choice",
    category="knowledge QA",
    task="scienceqa",
    kind="candidates",
    scorer="choice",
    headline=("accuracy", "accuracy_misled"),
    licence="CC-BY-NC-SA-4.0",
    published=list_published("scienceqa"),
)
SCIENCEQA_ALL = declare(
    Biased(
        {
            "img": lambda example: bool(example.images),
            "txt": lambda example: not example.images,
            **NEEDS,
        }
    ),
    name="scienceqa_all",
    version="scienceqa/likeliest-choice/all",
    category=SCIENCEQA.category,
    task=SCIENCEQA.task,
    kind=SCIENCEQA.kind,
    scorer=SCIENCEQA.scorer,
    headline=("accuracy", "accuracy_img", "accuracy_txt"),
    licence=SCIENCEQA.licence,
    not_computed=need("accuracy by need of the picture", "needs_image", "language_bias.json"),
)
