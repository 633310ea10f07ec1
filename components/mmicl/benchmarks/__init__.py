"""Benchmarks: official scoring rules, what each asks of a model, and the runner with controls."""

from mmicl.benchmarks.benchmark import Benchmark
from mmicl.benchmarks.coco_caption import COCO_CAPTION
from mmicl.benchmarks.mantis import MANTIS
from mmicl.benchmarks.mme import MME
from mmicl.benchmarks.msrvtt_qa import MSRVTT_QA
from mmicl.benchmarks.nlvr1 import NLVR1
from mmicl.benchmarks.nlvr2 import NLVR2
from mmicl.benchmarks.open_ended_mi import OPEN_ENDED_MI
from mmicl.benchmarks.pope import POPE
from mmicl.benchmarks.raven import RAVEN
from mmicl.benchmarks.scienceqa import SCIENCEQA
from mmicl.benchmarks.vcr import VCR
from mmicl.benchmarks.vqav2 import VQAV2
from mmicl.benchmarks.winoground import WINOGROUND

BENCHMARKS: dict[str, Benchmark] = {
    one.name: one
    for one in (
        COCO_CAPTION,
        MANTIS,
        MME,
        MSRVTT_QA,
        NLVR1,
        NLVR2,
        OPEN_ENDED_MI,
        POPE,
        RAVEN,
        SCIENCEQA,
        VCR,
        VQAV2,
        WINOGROUND,
    )
}
"""Name -> the benchmarks that the stage evaluate can run."""
