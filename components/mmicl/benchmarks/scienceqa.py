"""ScienceQA, the problems with a picture: the likeliest choice is the model's answer.

Beside the whole, the problems with a hint, without one, and those whose hint names a wrong choice:
who reads without looking loses there (the language bias that the paper measures). The misled ones
are among the hinted.
"""

from mmicl.benchmarks.benchmark import Published
from mmicl.benchmarks.parts import Likeliest, declare, read_meta

RULE = Likeliest(
    {
        "hinted": lambda example: bool(read_meta(example, "hint")),
        "misled": lambda example: bool(read_meta(example, "misleads")),
        "no_hint": lambda example: not read_meta(example, "hint"),
    }
)
SCIENCEQA = declare(
    RULE,
    name="scienceqa",
    version="scienceqa/likeliest-choice",
    category="knowledge QA",
    task="scienceqa",
    kind="candidates",
    headline=("accuracy", "accuracy_misled"),
    licence="CC-BY-NC-SA-4.0",
    published=tuple(
        Published(system, "accuracy", value, False, "test problems with a picture")
        for system, value in {
            "MMICL": 82.1, "InstructBLIP": 71.3, "Otter": 63.1, "Ying-VLM": 55.7, "Shikra": 45.8,
            "random": 35.5,
        }.items()
    ),
)  # fmt: skip
