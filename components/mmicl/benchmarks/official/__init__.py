"""Prediction files in each benchmark's official format, scored by its official rule.

Where an official tool would count on in silence or fall over, there is an error or a counted
warning. References may be the file or a folder that holds it under its official name.
"""

from collections.abc import Callable
from pathlib import Path

from mmicl.benchmarks.official import answers, choices, statements
from mmicl.benchmarks.official.reading import Scored

OFFICIAL: dict[str, Callable[[Path, Path | None], Scored]] = {
    "blink": choices.score_blink,
    "coco_caption": answers.score_coco_caption,
    "mme": answers.score_mme,
    "nextqa": choices.score_nextqa,
    "nlvr1": statements.score_nlvr1,
    "nlvr2": statements.score_nlvr2,
    "okvqa": answers.score_vqa,
    "pope": answers.score_pope,
    "raven": choices.score_raven,
    "scienceqa": choices.score_scienceqa,
    "textvqa": answers.score_vqa,
    "vcr": choices.score_vcr,
    "vizwiz": answers.score_vqa,
    "vqav2": answers.score_vqa,
    "winoground": choices.score_winoground,
}
"""Benchmark -> its scorer of (predictions, references)."""
