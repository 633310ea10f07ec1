"""IconQA: questions about drawn icons, with texts or pictures to choose from.

The likeliest choice is the answer, over all and by the skills that a problem asks for, of which it
may have several. Filling in blanks, the third official sub-task, is not among MMICL's.
"""

from collections.abc import Callable

from mmicl.benchmarks.benchmark import Benchmark
from mmicl.benchmarks.paper import list_published
from mmicl.benchmarks.parts import Likeliest, declare, need, read_meta
from mmicl.benchmarks.scorers.iconqa import SKILLS
from mmicl.records import Example


def _asks_for(skill: str) -> Callable[[Example], bool]:
    return lambda example: skill in (read_meta(example, "skills") or ())


RULE = Likeliest({skill: _asks_for(skill) for skill in SKILLS})


def _declare(name: str, task: str) -> Benchmark:
    return declare(
        RULE,
        name=name,
        version=f"iconqa/{task}/likeliest-choice",
        category="visual reasoning",
        task="choice",
        kind="candidates",
        scorer="choice",
        headline=("accuracy",),
        licence="CC BY-NC-SA 4.0",
        published=list_published(name),
        not_computed=need("accuracy by skill", "skills", "pid2skills.json"),
    )


ICONQA_TXT = _declare("iconqa_txt", "choose_txt")
ICONQA_IMG = _declare("iconqa_img", "choose_img")
