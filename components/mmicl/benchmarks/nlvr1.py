"""NLVR (v1): a sentence about one drawn picture of three boxes, true or false.

One order of the boxes is asked, where the official script counts all six; consistency is over a
sentence's pictures as there.
"""

from mmicl.benchmarks import statements
from mmicl.benchmarks.benchmark import Benchmark

NLVR1 = Benchmark(
    name="nlvr1",
    version="nlvr1/metrics_images@56f4bc8/order-0",
    category="visual reasoning",
    task="nlvr",
    kind="candidates",
    scorer="nlvr",
    metrics=statements.METRICS,
    headline=("accuracy", "consistency"),
    judge=statements.judge,
    chance=statements.guess,
    constant=statements.constant,
    licence="CC BY 4.0",
)
