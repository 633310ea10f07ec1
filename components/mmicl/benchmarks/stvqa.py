"""ST-VQA: questions whose answer is text in the picture, by ANLS.

The official test answers are not public: deal test items out of the training split (`resplit`).
"""

from mmicl.benchmarks.parts import Written, declare
from mmicl.benchmarks.scorers.anls import similarity
from mmicl.records import Example


def earn(text: str, example: Example) -> float:
    """The similarity to the closest right answer."""
    return similarity(text, example.answers)


RULE = Written(earn, name="ANLS")
STVQA = declare(
    RULE,
    name="stvqa",
    version="st-vqa/evaluateANLS",
    category="image QA",
    task="vqa",
    kind="generate",
    scorer="anls",
    headline=("ANLS",),
    licence="none declared for the questions; pictures under their collections' terms",
    # MMICL's paper gives no figure: ST-VQA is among its training data.
)
