"""WUPS, which open-ended NExT-QA is scored by: answers alike by WordNet's Wu-Palmer similarity.

doc-doc/NExT-OE @ a83f8f5, eval_oe.py and metrics.py. Answers are lemmatised as pywsd.utils does
(1.2.4, lemmatize_sentence), words of the list below are dropped, and each word takes the closest
word of the other answer, by their first senses; the product over words, in the worse of the two
directions, is the score. Words without a counterpart are passed over. Counts and yes/no must be
the same. Needs NLTK's WordNet and tagger; unlike there an answer is not split into sentences.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from mmicl.errors import UserError

_NEEDED = {
    "wordnet": ("corpora/wordnet", "corpora/wordnet.zip"),
    "averaged_perceptron_tagger_eng": ("taggers/averaged_perceptron_tagger_eng",),
}
TYPES = ("CW", "CH", "TN", "TC", "DB", "DC", "DL", "DO")
_NAMES = {"TN": "TPN"}
_TOTALS = {"WUPS_C": "C", "WUPS_T": "T", "WUPS_D": "D", "WUPS": ""}
_EXACT = ("DC", "DB")
_PARTS = {"NN": "n", "JJ": "a", "VB": "v", "RB": "r"}
# As NExT-OE's stopwords.txt: NLTK's English list, but for words such as not, before, up and both.
_LISTED = (
    "i me my myself we our ours ourselves you you're you've you'll you'd your yours yourself "
    "yourselves he him his himself she she's her hers herself it it's its itself they them their "
    "theirs themselves what which who whom this that that'll these those am is are was were be "
    "been being have has had having do does did doing a an the and but if or because as until "
    "while to from of at for with about into through during again further then here there when "
    "where why how all any each most other some such only own so than too very s t can will just "
    "should should've now d ll m o re ve y ain ma"
)
_NEGATED = "do are could did does had has have is might must need sha should was were wo would"
_DROPPED = frozenset(_LISTED.split()).union(
    *({f"{verb}n", f"{verb}n't"} for verb in _NEGATED.split())
)


@dataclass(frozen=True)
class Question:
    """A question's type (TP counts as TN) and its one or two right answers."""

    type: str
    answers: Sequence[str]


def load_words() -> None:
    """Load WordNet and the tagger.

    Raises:
        UserError: NLTK lacks them; says how to get them.
    """
    missing = [name for name, paths in _NEEDED.items() if not any(map(_is_there, paths))]
    if missing:
        raise UserError(
            f"WUPS needs NLTK's {' and '.join(missing)}",
            remedy=f"python -m nltk.downloader {' '.join(missing)}",
        )


def _is_there(path: str) -> bool:
    import nltk

    try:
        nltk.data.find(path)
    except LookupError:
        return False
    return True


def score_answer(prediction: str, question: Question) -> float:
    """The score of an answer, 0 to 1, by the closest right one; call `load_words` before."""
    said = read_words(prediction)
    right = [read_words(answer) for answer in question.answers]
    if question.type in _EXACT:
        return float(said in right)
    return max(min(_match(said, words), _match(words, said)) for words in right)


def score(values: Mapping[str, float], questions: Mapping[str, Question]) -> dict[str, float]:
    """Percent with two decimals by type, by kind and over all; types without questions left out."""
    by_type: dict[str, list[float]] = defaultdict(list)
    for key, question in questions.items():
        by_type["TN" if question.type == "TP" else question.type].append(values[key])
    scores = {_NAMES.get(kind, kind): _percent(by_type[kind]) for kind in TYPES if by_type[kind]}
    for name, letter in _TOTALS.items():
        own = [value for kind in TYPES if kind.startswith(letter) for value in by_type[kind]]
        if own:
            scores[name] = _percent(own)
    return scores


@lru_cache(maxsize=100_000)
def read_words(text: str) -> tuple[str, ...]:
    """The lemmas of a text without the dropped ones."""
    from nltk import pos_tag, word_tokenize

    tagged = pos_tag(word_tokenize(text, preserve_line=True))
    lemmas = [_find_lemma(word.lower(), _PARTS.get(tag[:2])) for word, tag in tagged]
    return tuple(lemma for lemma in lemmas if lemma not in _DROPPED)


@lru_cache(maxsize=100_000)
def _find_lemma(word: str, part: str | None) -> str:
    """The lemma that WordNet knows, else the stem that it knows, else the word."""
    from nltk import pos_tag
    from nltk.corpus import wordnet
    from nltk.stem import PorterStemmer, WordNetLemmatizer

    part = part or _PARTS.get(pos_tag([word])[0][1][:2], "n")
    for form in (WordNetLemmatizer().lemmatize(word, pos=part), PorterStemmer().stem(word)):
        if wordnet.synsets(form):
            return form
    return word


def _match(words: Iterable[str], others: Sequence[str]) -> float:
    closest = [max((_compare(one, other) for other in others), default=0.0) for one in words]
    found = [value for value in closest if value]
    product = 1.0 if found else 0.0
    for value in found:
        product *= value
    return product


@lru_cache(maxsize=500_000)
def _compare(one: str, other: str) -> float:
    """Wu-Palmer similarity of the first senses; 1 for the same word, 0 where there is none."""
    from nltk.corpus import wordnet

    if one == other:
        return 1.0
    senses = [wordnet.synsets(word)[:1] for word in (one, other)]
    if not all(senses):
        return 0.0
    return senses[0][0].wup_similarity(senses[1][0]) or 0.0  # type: ignore[union-attr]


def _percent(values: Sequence[float]) -> float:
    return float(f"{sum(values) / len(values) * 100:.2f}")
