"""Captions by BLEU, ROUGE-L and CIDEr: pycocoevalcap's own scorers over our tokenizer.

METEOR and SPICE exist as Java programs alone. METEOR is computed where there is a Java, SPICE is
not, for its models are no part of the package (`list_missing` says what is needed). CIDEr weighs
n-grams by how many of the scored images' references hold them, so an image's CIDEr depends on which
images are scored together.
"""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import chain
from typing import Any

import numpy as np

from mmicl.benchmarks.scorers.ptb import tokenize_captions

_METEOR = "needs Java 1.8 or later (pycocoevalcap's meteor-1.5.jar)"
_SPICE = "needs Java 1.8 and a download of Stanford CoreNLP 3.6.0 (pycocoevalcap's spice)"
ORDERS = 4
_SMALL, _TINY = 1e-9, 1e-15  # what pycocoevalcap's bleu_scorer.py adds against division by zero


@dataclass(frozen=True)
class CaptionScores:
    """`overall` and, per image in the order given, `per_image`, by the official names.

    `bleu_parts` [images, 10] are each image's matching n-grams and n-grams of order 1 to 4, its
    length and its closest reference's: BLEU is a function of their sums.
    """

    overall: dict[str, float]
    per_image: dict[str, np.ndarray]
    bleu_parts: np.ndarray


def list_missing() -> dict[str, str]:
    """The metrics that cannot be computed here, and what they need."""
    return {**({} if shutil.which("java") else {"METEOR": _METEOR}), "SPICE": _SPICE}


def score(
    captions: Sequence[str], references: Sequence[Sequence[str]], *, meteor: bool = False
) -> CaptionScores:
    """Score one caption per image against its references; images in the official order.

    `meteor` adds METEOR, by a process of Java that lives as long as this one.
    """
    tokenized = iter(tokenize_captions(chain.from_iterable(references)))
    truths = {place: [next(tokenized) for _ in row] for place, row in enumerate(references)}
    answers = {place: [text] for place, text in enumerate(tokenize_captions(captions))}
    return score_tokenized(answers, truths, meteor=meteor)


def score_tokenized(
    answers: Mapping[int, list[str]], references: Mapping[int, list[str]], *, meteor: bool = False
) -> CaptionScores:
    """As `score`, of tokens with a blank between, one caption per image."""
    from pycocoevalcap.bleu.bleu_scorer import BleuScorer
    from pycocoevalcap.cider.cider import Cider
    from pycocoevalcap.rouge.rouge import Rouge

    bleu = BleuScorer(n=ORDERS)
    for place, (answer,) in answers.items():
        bleu += (answer, references[place])
    total, per_image = bleu.compute_score(option="closest", verbose=0)
    overall = {f"Bleu_{order + 1}": float(value) for order, value in enumerate(total)}
    images = {f"Bleu_{order + 1}": np.array(values) for order, values in enumerate(per_image)}
    scorers: dict[str, Any] = {"ROUGE_L": Rouge(), "CIDEr": Cider()}
    if meteor:
        scorers["METEOR"] = _start_meteor()
    for name, scorer in scorers.items():
        mean, values = scorer.compute_score(references, answers)
        overall[name], images[name] = float(mean), np.array(values)
    return CaptionScores(overall, images, np.array([_bleu_part(test) for test in bleu.ctest]))


@cache
def _start_meteor() -> Any:
    """METEOR's Java takes seconds to start, so all parts of a dataset share one."""
    from pycocoevalcap.meteor.meteor import Meteor

    return Meteor()


def bleu_of(parts: np.ndarray, order: int = ORDERS) -> np.ndarray:
    """Corpus BLEU [...] of summed parts [..., 10], as bleu_scorer.py computes it."""
    right, guessed = parts[..., :order], parts[..., ORDERS : ORDERS + order]
    length, reference = parts[..., -2], parts[..., -1]
    precision = np.prod((right + _TINY) / (guessed + _SMALL), axis=-1) ** (1 / order)
    ratio = (length + _TINY) / (reference + _SMALL)
    return precision * np.where(ratio < 1, np.exp(1 - 1 / ratio), 1.0)


def _bleu_part(test: Mapping[str, list[int] | int]) -> list[int]:
    """One image's row of `bleu_parts`, from what bleu_scorer.py counted."""
    length, references = test["testlen"], test["reflen"]
    closest = min((abs(one - length), one) for one in references)[1]  # type: ignore[union-attr, operator]
    return [*test["correct"], *test["guess"], length, closest]  # type: ignore[misc, list-item]
