"""MSRVTT-QA: an open question about a video; the answer must be the annotated one.

Officially a classifier chooses among training's most common answers and is right where that is the
annotated one; for a model that writes its answer this is exact match.
"""

from mmicl.benchmarks.parts import Written, declare, earn_exact

RULE = Written(earn_exact)
MSRVTT_QA = declare(
    RULE,
    name="msrvtt_qa",
    version="msrvtt-qa/exact-match",
    category="video QA",
    task="video",
    kind="generate",
    scorer="exact",
    headline=("accuracy",),
    licence="none declared; videos under YouTube's terms",
    # MMICL's paper gives no figure: MSRVTT-QA is among its training data.
)
