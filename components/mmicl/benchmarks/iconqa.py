"""IconQA: questions about drawn icons, with texts or pictures to choose from.

The likeliest choice is the answer. Filling in blanks, the third official sub-task, is not among
MMICL's; the scores by skill need a file that no Example carries.
"""

from mmicl.benchmarks.benchmark import Benchmark
from mmicl.benchmarks.paper import list_published
from mmicl.benchmarks.parts import Likeliest, declare

RULE = Likeliest()


def _declare(name: str, task: str) -> Benchmark:
    return declare(
        RULE,
        name=name,
        version=f"iconqa/{task}/likeliest-choice",
        category="visual reasoning",
        task="scienceqa",
        kind="candidates",
        headline=("accuracy",),
        licence="CC BY-NC-SA 4.0",
        published=list_published(name, "accuracy"),
    )


ICONQA_TXT = _declare("iconqa_txt", "choose_txt")
ICONQA_IMG = _declare("iconqa_img", "choose_img")
