"""VQA v2: open questions, ten annotators' answers, the official VQA accuracy."""

from collections.abc import Mapping

from mmicl.benchmarks.paper import list_published
from mmicl.benchmarks.parts import Written, declare, part_by
from mmicl.benchmarks.scorers.vqa import normalise, score_answer
from mmicl.records import Example

TYPES = {"yes/no": "yes_no", "number": "number", "other": "other"}
"""Official answer type -> part."""


def earn(text: str, example: Example) -> float:
    """The VQA accuracy of one answer."""
    return score_answer(text, example.answers)


def rate(types: Mapping[str, str]) -> Written:
    """The rule that the datasets of VQA's form share, over all and by official answer type."""
    return Written(earn, normalise, part_by("answer_type", types))


RULE = rate(TYPES)
VQAV2 = declare(
    RULE,
    name="vqav2",
    version="vqa-v2/vqaEval@a013f00",
    category="image QA",
    task="vqa",
    kind="generate",
    scorer="vqa",
    headline=("accuracy",),
    licence="annotations CC BY 4.0; photos under their Flickr terms",
    published=list_published("vqav2"),
    split="val",
)
