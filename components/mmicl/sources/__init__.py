"""One reader a dataset: official files -> typed Examples, pictures in the store, quarantine."""

from mmicl.errors import UserError
from mmicl.sources.ahead import Sharing
from mmicl.sources.aokvqa import AOKVQA
from mmicl.sources.bongard_hoi import BONGARD_HOI
from mmicl.sources.coco import COCO_CAPTION
from mmicl.sources.coco_region import COCO_REGION
from mmicl.sources.diffusiondb import DIFFUSIONDB
from mmicl.sources.flickr30k import FLICKR30K
from mmicl.sources.gqa import GQA
from mmicl.sources.hateful_memes import HATEFUL_MEMES
from mmicl.sources.iconqa import ICONQA_IMG, ICONQA_TXT
from mmicl.sources.img2dataset import CC3M, CC12M, LAION400M, SBU
from mmicl.sources.ingest import EXAMPLES, REJECTED, ingest_dataset
from mmicl.sources.ivqa import IVQA
from mmicl.sources.llava import LLAVA
from mmicl.sources.mantis import MANTIS
from mmicl.sources.minecraft import MINECRAFT
from mmicl.sources.mini_imagenet import MINI_IMAGENET
from mmicl.sources.mmbench import MMBENCH
from mmicl.sources.mme import MME
from mmicl.sources.msrvtt import MSRVTT
from mmicl.sources.msrvtt_qa import MSRVTT_QA
from mmicl.sources.msvd_qa import MSVD_QA
from mmicl.sources.nextqa import NEXTQA, NEXTQA_OPEN
from mmicl.sources.nlvr1 import NLVR1
from mmicl.sources.nlvr2 import NLVR2
from mmicl.sources.nocaps import NOCAPS
from mmicl.sources.okvqa import OKVQA
from mmicl.sources.open_ended_mi import OPEN_ENDED_MI
from mmicl.sources.pope import POPE
from mmicl.sources.raven import RAVEN
from mmicl.sources.raven_iq import RAVEN_IQ
from mmicl.sources.reader import Reader, name_files, set_frames
from mmicl.sources.refcoco import REFCOCO
from mmicl.sources.scienceqa import SCIENCEQA, SCIENCEQA_ALL
from mmicl.sources.stvqa import STVQA
from mmicl.sources.textvqa import TEXTVQA
from mmicl.sources.vcr import VCR, VCR_RATIONALE
from mmicl.sources.visdial import VISDIAL
from mmicl.sources.visual_genome import VISUAL_GENOME
from mmicl.sources.vizwiz import VIZWIZ
from mmicl.sources.vqav2 import VQAV2
from mmicl.sources.vsr import VSR
from mmicl.sources.websrc import WEBSRC
from mmicl.sources.wikiart import WIKIART
from mmicl.sources.winoground import WINOGROUND

READERS: dict[str, Reader] = {
    reader.name: reader
    for reader in (
        AOKVQA,
        BONGARD_HOI,
        CC12M,
        CC3M,
        COCO_CAPTION,
        COCO_REGION,
        DIFFUSIONDB,
        FLICKR30K,
        GQA,
        HATEFUL_MEMES,
        ICONQA_IMG,
        ICONQA_TXT,
        IVQA,
        LAION400M,
        LLAVA,
        MANTIS,
        MINECRAFT,
        MINI_IMAGENET,
        MMBENCH,
        MME,
        MSRVTT,
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
        REFCOCO,
        SBU,
        SCIENCEQA,
        SCIENCEQA_ALL,
        STVQA,
        TEXTVQA,
        VCR,
        VCR_RATIONALE,
        VISDIAL,
        VISUAL_GENOME,
        VIZWIZ,
        VQAV2,
        VSR,
        WEBSRC,
        WIKIART,
        WINOGROUND,
    )
}

__all__ = [
    "EXAMPLES",
    "READERS",
    "REJECTED",
    "Reader",
    "Sharing",
    "find_reader",
    "ingest_dataset",
    "name_files",
    "set_frames",
]


def find_reader(name: str, where: str) -> Reader:
    """The reader of a name that stands somewhere: in params, or in a command.

    Raises:
        UserError: There is none; names those there are.
    """
    if name not in READERS:
        known = f"there are {', '.join(sorted(READERS))}"
        raise UserError(f"no reader named {name}", where=where, remedy=known)
    return READERS[name]
