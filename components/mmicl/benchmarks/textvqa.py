"""TextVQA: questions about the text in photos, by the VQA accuracy."""

from mmicl.benchmarks.parts import declare
from mmicl.benchmarks.vqav2 import rate

RULE = rate({})
TEXTVQA = declare(
    RULE,
    name="textvqa",
    version="textvqa-0.5.1/vqaEval@a013f00",
    category="image QA",
    task="vqa",
    kind="generate",
    scorer="vqa",
    headline=("accuracy",),
    licence="CC BY 4.0; photos CC BY 2.0 (Open Images)",
    split="val",
    # MMICL's paper gives no figure: TextVQA is among its training data.
)
