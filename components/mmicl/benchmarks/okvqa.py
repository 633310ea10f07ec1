"""OK-VQA: questions about photos that need outside knowledge, by the VQA accuracy."""

from mmicl.benchmarks.parts import declare
from mmicl.benchmarks.vqav2 import rate

RULE = rate({})
OKVQA = declare(
    RULE,
    name="okvqa",
    version="ok-vqa/vqaEval@a013f00",
    category="knowledge QA",
    task="vqa",
    kind="generate",
    scorer="vqa",
    headline=("accuracy",),
    licence="CC BY 4.0; photos under their Flickr terms",
    split="val",
    # MMICL's paper gives no figure: OK-VQA is among its training data.
)
