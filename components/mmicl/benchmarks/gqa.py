"""GQA: composed questions about scenes, balanced; the short answer must be as written."""

from mmicl.benchmarks.parts import Written, declare, part_by, read_meta
from mmicl.records import Example

STRUCTURES = ("verify", "query", "choose", "logical", "compare")
OPEN = "query"


def earn(text: str, example: Example) -> float:
    """1 where the answer is equal as written."""
    return float(text == example.target)


RULE = Written(
    earn,
    normalise=lambda text: text,
    parts={
        "binary": lambda example: read_meta(example, "structural") != OPEN,
        "open": lambda example: read_meta(example, "structural") == OPEN,
        **part_by("structural", dict(zip(STRUCTURES, STRUCTURES, strict=True))),
    },
)
GQA = declare(
    RULE,
    name="gqa",
    version="gqa/eval.py/testdev-balanced",
    category="visual reasoning",
    task="vqa",
    kind="generate",
    headline=("accuracy",),
    licence="CC BY 4.0; pictures of Visual Genome under their Flickr terms",
    split="val",
    # MMICL's paper gives no figure: GQA is among its training data.
)
