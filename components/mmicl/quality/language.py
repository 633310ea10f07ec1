"""Whether a text is English, as the instruction bank is.

A short one is judged by its letters. Of a longer one py3langid (139 languages, nothing to download)
must be sure: it took none of 6,000 captions and sentences of COCO and NLVR2 with eight words or
more for another language, at 0.1 ms each.
"""

import re
import unicodedata
from functools import cache, lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from py3langid.langid import LanguageIdentifier

ENOUGH_WORDS, MUCH = 8, 500
"""Words that a text must have, and characters that are looked at."""
SURE = 0.9
"""Probability of another language, among all that are known."""
_WORD = re.compile(r"[^\W\d_]+")


def is_foreign(text: str) -> bool:
    """Whether most letters are not Latin, or the text is surely in another language."""
    return _judge(text[:MUCH])


@lru_cache(maxsize=1 << 10)  # questions come again and again
def _judge(text: str) -> bool:
    if not text.isascii():
        letters = [sign for sign in text if sign.isalpha()]
        others = sum(not unicodedata.name(sign, "").startswith("LATIN") for sign in letters)
        if 2 * others > len(letters):
            return True
    if len(_WORD.findall(text)) < ENOUGH_WORDS:
        return False
    language, probability = _load_identifier().classify(text)
    return language not in ("en", "zxx") and probability >= SURE


@cache
def _load_identifier() -> "LanguageIdentifier":
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
