"""Benchmarks: official scoring rules, what each asks of a model, and the runner with controls."""

from mmicl.benchmarks.aokvqa import AOKVQA, AOKVQA_DIRECT
from mmicl.benchmarks.benchmark import Benchmark
from mmicl.benchmarks.bongard_hoi import BONGARD_HOI
from mmicl.benchmarks.coco_caption import COCO_CAPTION
from mmicl.benchmarks.flickr30k import FLICKR30K
from mmicl.benchmarks.gqa import GQA
from mmicl.benchmarks.hateful_memes import HATEFUL_MEMES
from mmicl.benchmarks.iconqa import ICONQA_IMG, ICONQA_TXT
from mmicl.benchmarks.ivqa import IVQA
from mmicl.benchmarks.mantis import MANTIS
from mmicl.benchmarks.minecraft import MINECRAFT
from mmicl.benchmarks.mmbench import MMBENCH
from mmicl.benchmarks.mme import MME
from mmicl.benchmarks.msrvtt_qa import MSRVTT_QA
from mmicl.benchmarks.msvd_qa import MSVD_QA
from mmicl.benchmarks.nextqa import NEXTQA, NEXTQA_OPEN
from mmicl.benchmarks.nlvr1 import NLVR1
from mmicl.benchmarks.nlvr2 import NLVR2
from mmicl.benchmarks.nocaps import NOCAPS
from mmicl.benchmarks.okvqa import OKVQA
from mmicl.benchmarks.open_ended_mi import OPEN_ENDED_MI
from mmicl.benchmarks.pope import POPE
from mmicl.benchmarks.raven import RAVEN
from mmicl.benchmarks.raven_iq import RAVEN_IQ
from mmicl.benchmarks.scienceqa import SCIENCEQA, SCIENCEQA_ALL
from mmicl.benchmarks.stvqa import STVQA
from mmicl.benchmarks.textvqa import TEXTVQA
from mmicl.benchmarks.vcr import VCR, VCR_RATIONALE
from mmicl.benchmarks.visdial import VISDIAL
from mmicl.benchmarks.vizwiz import VIZWIZ
from mmicl.benchmarks.vqav2 import VQAV2
from mmicl.benchmarks.vsr import VSR
from mmicl.benchmarks.websrc import WEBSRC
from mmicl.benchmarks.winoground import WINOGROUND
from mmicl.errors import UserError

BENCHMARKS: dict[str, Benchmark] = {
    one.name: one
    for one in (
        AOKVQA,
        AOKVQA_DIRECT,
        BONGARD_HOI,
        COCO_CAPTION,
        FLICKR30K,
        GQA,
        HATEFUL_MEMES,
        ICONQA_IMG,
        ICONQA_TXT,
        IVQA,
        MANTIS,
        MINECRAFT,
        MMBENCH,
        MME,
        MSRVTT_QA,
        MSVD_QA,
        NEXTQA,
        NEXTQA_OPEN,
        NLVR1,
        NLVR2,
        NOCAPS,
        OKVQA,
        OPEN_ENDED_MI,
        POPE,
        RAVEN,
        RAVEN_IQ,
        SCIENCEQA,
        SCIENCEQA_ALL,
        STVQA,
        TEXTVQA,
        VCR,
        VCR_RATIONALE,
        VISDIAL,
        VIZWIZ,
        VQAV2,
        VSR,
        WEBSRC,
        WINOGROUND,
    )
}
"""Name -> the benchmarks that the stage evaluate can run."""


def find_benchmark(entry: str, where: str | None = None) -> Benchmark:
    """The benchmark that an entry of params `evaluate.benchmarks` names.

    An entry is a benchmark's name, or that with a variant's after a hyphen (`vqav2-4shot`), so that
    one benchmark can be asked in several ways.

    Args:
        entry: The name.
        where: What an error names instead of the entry.

    Raises:
        UserError: There is no such benchmark.
    """
    name = entry.partition("-")[0]
    if name not in BENCHMARKS:
        raise UserError(
            f"no benchmark is called {name}",
            where=where or f"evaluate.benchmarks.{entry}",
            remedy=f"there are {', '.join(sorted(BENCHMARKS))}",
        )
    return BENCHMARKS[name]
