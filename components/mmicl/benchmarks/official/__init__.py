"""Prediction files in each benchmark's official format, scored by its official rule.

Where an official tool would count on in silence or fall over, there is an error or a counted
warning. References may be the file or a folder that holds it under its official name.
"""

from collections.abc import Callable
from pathlib import Path

from mmicl.benchmarks.official import (
    answers,
    captions,
    choices,
    dialogs,
    gqa,
    mmbench,
    pages,
    statements,
    videos,
)
from mmicl.benchmarks.official.reading import Scored

OFFICIAL: dict[str, Callable[[Path, Path | None], Scored]] = {
    "aokvqa": answers.score_aokvqa,
    "blink": choices.score_blink,
    "bongard_hoi": statements.score_bongard_hoi,
    "coco_caption": captions.score_coco_caption,
    "flickr30k": captions.score_flickr30k,
    "gqa": gqa.score_gqa,
    "hateful_memes": statements.score_hateful_memes,
    "iconqa": choices.score_iconqa,
    "ivqa": videos.score_ivqa,
    "mmbench": mmbench.score_mmbench,
    "mme": answers.score_mme,
    "msrvtt_qa": videos.score_video_qa,
    "msvd_qa": videos.score_video_qa,
    "nextqa": choices.score_nextqa,
    "nextqa_open": videos.score_nextqa_open,
    "nlvr1": statements.score_nlvr1,
    "nlvr2": statements.score_nlvr2,
    "nocaps": captions.score_nocaps,
    "okvqa": answers.score_okvqa,
    "pope": answers.score_pope,
    "raven": choices.score_raven,
    "raven_iq": choices.score_raven_iq,
    "scienceqa": choices.score_scienceqa,
    "stvqa": answers.score_stvqa,
    "textvqa": answers.score_textvqa,
    "vcr": choices.score_vcr,
    "vcr_rationale": choices.score_vcr_rationale,
    "visdial": dialogs.score_visdial,
    "vizwiz": answers.score_vizwiz,
    "vqav2": answers.score_vqav2,
    "vsr": statements.score_vsr,
    "websrc": pages.score_websrc,
    "winoground": choices.score_winoground,
}
"""Benchmark -> its scorer of (predictions, references)."""
