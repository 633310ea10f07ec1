"""iVQA: open questions about instructional videos; right where two of five people said the same."""

from mmicl.benchmarks.paper import list_published
from mmicl.benchmarks.parts import Written, declare
from mmicl.benchmarks.scorers.video_qa import credit
from mmicl.records import Example


def earn(text: str, example: Example) -> float:
    """The credit by the annotated answers."""
    return credit(text, example.answers)


RULE = Written(earn)
IVQA = declare(
    RULE,
    name="ivqa",
    version="ivqa/train_videoqa@2331a12",
    category="video QA",
    task="video",
    kind="generate",
    scorer="video_qa",
    headline=("accuracy",),
    licence="none declared; videos under YouTube's terms",
    published=list_published("ivqa"),
)
