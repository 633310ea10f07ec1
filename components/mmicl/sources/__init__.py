"""One reader a dataset: official files -> typed Examples, pictures in the store, quarantine."""

from mmicl.errors import UserError
from mmicl.sources.coco import COCO_CAPTION
from mmicl.sources.coco_region import COCO_REGION
from mmicl.sources.ingest import EXAMPLES, REJECTED, ingest_dataset
from mmicl.sources.llava import LLAVA
from mmicl.sources.mantis import MANTIS
from mmicl.sources.mini_imagenet import MINI_IMAGENET
from mmicl.sources.mme import MME
from mmicl.sources.msrvtt_qa import MSRVTT_QA
from mmicl.sources.msvd_qa import MSVD_QA
from mmicl.sources.nextqa import NEXTQA, NEXTQA_OPEN
from mmicl.sources.nlvr1 import NLVR1
from mmicl.sources.nlvr2 import NLVR2
from mmicl.sources.okvqa import OKVQA
from mmicl.sources.open_ended_mi import OPEN_ENDED_MI
from mmicl.sources.pope import POPE
from mmicl.sources.raven import RAVEN
from mmicl.sources.reader import Reader
from mmicl.sources.scienceqa import SCIENCEQA
from mmicl.sources.textvqa import TEXTVQA
from mmicl.sources.vcr import VCR
from mmicl.sources.vizwiz import VIZWIZ
from mmicl.sources.vqav2 import VQAV2
from mmicl.sources.websrc import WEBSRC
from mmicl.sources.winoground import WINOGROUND

READERS: dict[str, Reader] = {
    reader.name: reader
    for reader in (
        COCO_CAPTION,
        COCO_REGION,
        MANTIS,
        WEBSRC,
        VIZWIZ,
        TEXTVQA,
        OKVQA,
        NEXTQA_OPEN,
        NEXTQA,
        MSVD_QA,
        MINI_IMAGENET,
        LLAVA,
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

__all__ = ["EXAMPLES", "READERS", "REJECTED", "Reader", "find_reader", "ingest_dataset"]


def find_reader(name: str) -> Reader:
    """The reader of a name in params.

    Raises:
        UserError: There is none; names those there are.
    """
    if name not in READERS:
        known = f"there are {', '.join(sorted(READERS))}"
        raise UserError(f"no reader named {name}", where="datasets.*.reader", remedy=known)
    return READERS[name]
