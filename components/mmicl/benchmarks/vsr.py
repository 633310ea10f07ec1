"""VSR: a sentence about how two objects lie to each other, true or false; by kind of relation."""

from collections.abc import Callable

from mmicl.benchmarks.paper import list_published
from mmicl.benchmarks.parts import Judged, declare, read_meta
from mmicl.benchmarks.scorers.vsr import CATEGORIES, CATEGORY
from mmicl.records import Example


def _is_of(category: str) -> Callable[[Example], bool]:
    return lambda example: CATEGORY.get(read_meta(example, "relation")) == category


RULE = Judged({category.lower(): _is_of(category) for category in CATEGORIES})
VSR = declare(
    RULE,
    name="vsr",
    version="vsr/eval@b1cf884",
    category="visual reasoning",
    task="nlvr",
    kind="candidates",
    scorer="exact",
    headline=("accuracy",),
    licence="Apache-2.0; photos under their Flickr terms",
    published=list_published("vsr"),
)
