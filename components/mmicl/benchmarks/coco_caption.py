"""COCO captions: CIDEr, BLEU and ROUGE-L of pycocoevalcap, each times 100.

CIDEr's interval resamples the images' CIDEr as they are among all images scored; the weights of
the n-grams are not counted anew in every resample.
"""

from collections.abc import Sequence

import numpy as np

from mmicl.benchmarks.benchmark import (
    Benchmark,
    Columns,
    Constant,
    Item,
    Metric,
    Sums,
    mean,
    most_common,
)
from mmicl.benchmarks.scorers.caption import ORDERS, bleu_of, score
from mmicl.records import Example

_PARTS = [f"bleu_{number}" for number in range(10)]
JAVA = {
    "METEOR": "needs Java, which no stage asks for; `mmicl score` computes it where there is one",
    "SPICE": "needs Java and Stanford CoreNLP's models (pycocoevalcap's spice)",
}
"""Not computed in any run, whether there is a Java or not: equal answers give equal scores."""


def judge(items: Sequence[Item]) -> Columns:
    """Per image CIDEr, ROUGE-L and the counts that BLEU is made of."""
    captions = [item.predictions[0].text for item in items]
    scores = score(captions, [item.example.answers for item in items])
    columns = {name: scores.per_image[name] for name in ("CIDEr", "ROUGE_L")}
    for number, name in enumerate(_PARTS):
        columns[name] = scores.bleu_parts[:, number].astype(float)
    return {**columns, "n": np.ones(len(items))}


def guess(examples: Sequence[Example], train: Sequence[Example]) -> None:
    """None."""


def _bleu(order: int) -> Metric:
    def formula(sums: Sums) -> np.ndarray:
        return 100 * bleu_of(np.stack([sums[name] for name in _PARTS], axis=-1), order)

    return Metric(formula)


COCO_CAPTION = Benchmark(
    name="coco_caption",
    version="coco-caption/pycocoevalcap-1.2",
    category="captioning",
    task="caption",
    kind="generate",
    scorer="caption",
    metrics={
        "CIDEr": mean("CIDEr"),
        **{f"Bleu_{order}": _bleu(order) for order in range(1, ORDERS + 1)},
        "ROUGE_L": mean("ROUGE_L"),
    },
    headline=("CIDEr",),
    judge=judge,
    chance=guess,
    constant=lambda train: Constant(most_common([example.target for example in train])),
    licence="captions CC BY 4.0; photos under their Flickr terms",
    split="val",
    not_computed=lambda _: JAVA,
)
