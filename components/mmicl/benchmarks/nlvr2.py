"""NLVR2: a sentence about two pictures, true or false."""

from mmicl.benchmarks import statements
from mmicl.benchmarks.benchmark import Benchmark
from mmicl.benchmarks.paper import list_published

NLVR2 = Benchmark(
    name="nlvr2",
    version="nlvr2/metrics@e6a286a",
    category="visual reasoning",
    task="nlvr",
    kind="candidates",
    scorer="nlvr",
    metrics=statements.METRICS,
    headline=("accuracy", "consistency"),
    judge=statements.judge,
    chance=statements.guess,
    constant=statements.constant,
    licence="CC BY 4.0; the photos have their own terms",
    published=list_published("nlvr2"),
)
