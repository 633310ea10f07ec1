"""Flickr30k in Karpathy's split: captions, judged as COCO's."""

from dataclasses import replace

from mmicl.benchmarks.coco_caption import COCO_CAPTION
from mmicl.benchmarks.paper import list_published

FLICKR30K = replace(
    COCO_CAPTION,
    name="flickr30k",
    version="flickr30k-karpathy/pycocoevalcap-1.2",
    licence="captions CC BY 3.0; photos under their Flickr terms, research only",
    published=list_published("flickr30k"),
)
