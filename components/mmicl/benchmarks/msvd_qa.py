"""MSVD-QA: an open question about a short video; the answer must be the annotated one.

Exact match, as MSRVTT-QA, and by the question's first word, as its paper reports.
"""

from collections.abc import Callable

from mmicl.benchmarks.paper import list_published
from mmicl.benchmarks.parts import Written, declare, earn_exact
from mmicl.benchmarks.scorers.exact import normalise
from mmicl.benchmarks.scorers.video_qa import KINDS
from mmicl.records import Example


def _begins(word: str) -> Callable[[Example], bool]:
    return lambda example: normalise(example.question).partition(" ")[0] == word


RULE = Written(earn_exact, parts={word: _begins(word) for word in KINDS})
MSVD_QA = declare(
    RULE,
    name="msvd_qa",
    version="msvd-qa/exact-match",
    category="video QA",
    task="video",
    kind="generate",
    scorer="exact",
    headline=("accuracy",),
    licence="none declared; videos under YouTube's terms",
    published=list_published("msvd_qa"),
)
