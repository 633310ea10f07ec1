"""VQA accuracy, as GT-Vision-Lab/VQA computes it (PythonEvaluationTools/vqaEval.py @ a013f00).

VQA v2, OK-VQA, TextVQA and VizWiz share the rule. An answer earns min(matches / 3, 1), averaged
over leaving each annotator out in turn. Kept, because scores depend on them:

- Answers are normalised only where the annotators disagree; else they must be equal as written.
- Annotators are left out one by one, even where a file gives them no `answer_id` (VizWiz). The
  official code compares whole entries there, and would leave out all who said the same at once.
- A full stop stays before a digit, and at most 32 are removed: the official call passes re.UNICODE
  where the count belongs, and its look-behind is misspelt.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

_PUNCTUATION = ';/[]"{}()=+\\_-><@`,?!'
_NUMBERS = {
    "none": "0", "zero": "0", "one": "1", "two": "2", "three": "3", "four": "4", "five": "5",
    "six": "6", "seven": "7", "eight": "8", "nine": "9", "ten": "10",
}  # fmt: skip
_ARTICLES = {"a", "an", "the"}
_PERIOD = re.compile(r"\.(?!\d)")
_PERIODS_AT_MOST = 32
_NUMBER_COMMA = re.compile(r"\d,\d")
# The official table puts apostrophes back (dont -> don't), so what words become says it all; six
# entries that can never apply (capitals, words that become themselves) are left out.
_APOSTROPHES = (
    "ain't aren't can't could've couldn't didn't doesn't don't hadn't hasn't haven't he'd he's "
    "how'd how'll how's isn't it'd it'll ma'am mightn't might've mustn't must've needn't not've "
    "o'clock oughtn't shan't should've shouldn't somebody'll somebody's someone'd someone'll "
    "someone's something'd something'll that's there'd there're there's they'd they'll they're "
    "they've 'twas wasn't we've weren't what'll what're what's what've when's where'd where's "
    "where've who'd who'll who's who've why'll why're why's won't would've wouldn't y'all you'd "
    "you'll you're you've"
)
_DOUBLE = (
    "couldn't've hadn't've he'd've it'd've mightn't've she'd've shouldn't've somebody'd've "
    "someone'd've something'd've there'd've they'd've we'd've who'd've wouldn't've y'all'd've "
    "you'd've"
)


def _list_contractions() -> dict[str, str]:
    """The official table: what is written -> with all its apostrophes."""
    table = {word.replace("'", ""): word for word in _APOSTROPHES.split()}
    for word in _DOUBLE.split():
        first, second = word.find("'"), word.rfind("'")
        table[word[:first] + word[first + 1 :]] = word
        table[word[:second] + word[second + 1 :]] = word
    table |= {"ow's'at": "'ow's'at", "'ows'at": "'ow's'at", "'ow'sat": "'ow's'at"}
    table |= {"yall'll": "y'all'll", "y'allll": "y'all'll"}
    table |= {"yall'd've": "y'all'd've", "y'alld've": "y'all'd've", "y'all'dve": "y'all'd've"}
    table["somebody'd"] = "somebodyd"  # the official table has this one the wrong way round
    return table


_CONTRACTIONS = _list_contractions()


@dataclass(frozen=True)
class Annotation:
    """A question's answers, one per annotator (ten), and its official types."""

    question_id: int | str
    answers: Sequence[str]
    question_type: str
    answer_type: str


@dataclass(frozen=True)
class VqaScores:
    """Accuracies in percent; `per_question` rounded to two decimals, as the rest."""

    overall: float
    per_question_type: dict[str, float]
    per_answer_type: dict[str, float]
    per_question: dict[int | str, float]


def score(predictions: Mapping[int | str, str], references: Iterable[Annotation]) -> VqaScores:
    """Score answers by question id; every reference needs one."""
    accuracies: dict[int | str, float] = {}
    by_question: dict[str, list[float]] = defaultdict(list)
    by_answer: dict[str, list[float]] = defaultdict(list)
    for reference in references:
        value = score_answer(predictions[reference.question_id], reference.answers)
        accuracies[reference.question_id] = value
        by_question[reference.question_type].append(value)
        by_answer[reference.answer_type].append(value)
    return VqaScores(
        overall=_percent(list(accuracies.values())),
        per_question_type={name: _percent(values) for name, values in by_question.items()},
        per_answer_type={name: _percent(values) for name, values in by_answer.items()},
        per_question={key: round(100 * value, 2) for key, value in accuracies.items()},
    )


def score_answer(prediction: str, answers: Sequence[str]) -> float:
    """The accuracy of one answer, 0 to 1, against the annotators' answers."""
    prediction = _clean(prediction)
    answers = [_clean(text) for text in answers]
    if len(set(answers)) > 1:
        answers = [normalise(text) for text in answers]
        prediction = normalise(prediction)
    matches = answers.count(prediction)
    credits = [min(1, float(matches - (text == prediction)) / 3) for text in answers]
    return float(sum(credits)) / len(credits)


@lru_cache(maxsize=200_000)
def normalise(text: str) -> str:
    """Punctuation, number words, articles and contractions by the official rule."""
    drop = _NUMBER_COMMA.search(text) is not None
    out = text
    for sign in _PUNCTUATION:
        if sign in out:
            touches_blank = f"{sign} " in text or f" {sign}" in text
            out = out.replace(sign, "" if drop or touches_blank else " ")
    out = _PERIOD.sub("", out, count=_PERIODS_AT_MOST)
    words = [_NUMBERS.get(word, word) for word in out.lower().split()]
    return " ".join(_CONTRACTIONS.get(word, word) for word in words if word not in _ARTICLES)


def _clean(text: str) -> str:
    return text.replace("\n", " ").replace("\t", " ").strip()


def _percent(values: Sequence[float]) -> float:
    return round(100 * float(sum(values)) / len(values), 2)
