"""A-OKVQA: questions about photos that need knowledge; the likeliest choice, or an answer in words.

Direct answers are another protocol on the same questions, without those that are marked difficult
for it: the prompt is that of an open question and lists no choices.
"""

from mmicl.benchmarks.benchmark import most_common
from mmicl.benchmarks.parts import Likeliest, Written, declare, read_meta
from mmicl.benchmarks.scorers import aokvqa
from mmicl.records import Example

CATEGORY = "knowledge QA"
LICENCE = "Apache-2.0; photos under their Flickr terms"
RULE = Likeliest()
AOKVQA = declare(
    RULE,
    name="aokvqa",
    version="a-okvqa-v1p0/multiple-choice",
    category=CATEGORY,
    task="choice",
    kind="candidates",
    scorer="choice",
    headline=("accuracy",),
    licence=LICENCE,
    split="val",
    # MMICL's paper gives no figure that we know of.
)


def open_question(example: Example) -> Example | None:
    """The question without its choices; what most people answered is the answer.

    None where it is marked difficult, whose direct answers the official score leaves out.
    """
    if read_meta(example, "difficult"):
        return None
    changes = {"task": "vqa", "choices": (), "answer_index": -1}
    return example.model_copy(update={**changes, "target": most_common(example.answers)})


def earn(text: str, example: Example) -> float:
    """The credit of one direct answer, which must be equal to annotated ones as written."""
    return aokvqa.score_answer(text, example.answers)


DIRECT = Written(earn, normalise=lambda text: text)
AOKVQA_DIRECT = declare(
    DIRECT,
    name="aokvqa_direct",
    version="a-okvqa-v1p0/direct-answer",
    category=CATEGORY,
    task="choice",
    kind="generate",
    scorer="aokvqa",
    headline=("accuracy",),
    licence=LICENCE,
    split="val",
    reader="aokvqa",
    recast=open_question,
)
