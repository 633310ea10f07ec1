"""VizWiz-VQA: what blind people ask of their photos, by the VQA accuracy.

Saying "unanswerable" is an answer like any other. The challenge's second task, how well a model
ranks the unanswerable ones, is not asked.
"""

from mmicl.benchmarks.paper import list_published
from mmicl.benchmarks.parts import declare
from mmicl.benchmarks.vqav2 import TYPES, rate

RULE = rate({**TYPES, "unanswerable": "unanswerable"})
VIZWIZ = declare(
    RULE,
    name="vizwiz",
    version="vizwiz-vqa/vqaEval@a013f00",
    category="image QA",
    task="vqa",
    kind="generate",
    scorer="vqa",
    headline=("accuracy",),
    licence="CC BY 4.0",
    published=list_published("vizwiz"),
    split="val",
)
