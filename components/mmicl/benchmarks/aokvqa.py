"""A-OKVQA, multiple choice: questions about photos that need knowledge; the likeliest choice.

Direct answers are another protocol, which is not asked: its prompt must not list the choices.
"""

from mmicl.benchmarks.parts import Likeliest, declare

RULE = Likeliest()
AOKVQA = declare(
    RULE,
    name="aokvqa",
    version="a-okvqa-v1p0/multiple-choice",
    category="knowledge QA",
    task="scienceqa",
    kind="candidates",
    headline=("accuracy",),
    licence="Apache-2.0; photos under their Flickr terms",
    split="val",
    # MMICL's paper gives no figure that we know of.
)
