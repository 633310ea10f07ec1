"""NExT-QA: why, how and when in videos; five options, or an answer in words.

Both are broken down by the official types of questions: causal (C), temporal (T) and descriptive
(D), and each of their kinds. Of five options the likeliest is the answer. Answers in words earn
their WUPS, for which NLTK needs WordNet and a tagger (`mmicl score nextqa_open` says how).
"""

from collections.abc import Callable, Iterable, Sequence

from mmicl.benchmarks.benchmark import Columns, Item
from mmicl.benchmarks.paper import list_published
from mmicl.benchmarks.parts import Likeliest, Parts, Written, declare, read_meta
from mmicl.benchmarks.scorers import wups
from mmicl.records import Example

CATEGORIES = ("C", "T", "D")
CHOICE_TYPES = {name: (name,) for name in ("CW", "CH", "TC", "DC", "DL", "DO")}
OPEN_TYPES = {name: (name,) for name in ("CW", "CH", "TC", "DB", "DC", "DL", "DO")}
NEXT_AND_PREVIOUS = {"TN_TP": ("TN", "TP")}


def part_by_type(types: Iterable[tuple[str, tuple[str, ...]]]) -> Parts:
    """The three categories and the types within them."""

    def belongs(official: tuple[str, ...]) -> Callable[[Example], bool]:
        return lambda example: read_meta(example, "type") in official

    def begins(letter: str) -> Callable[[Example], bool]:
        return lambda example: str(read_meta(example, "type")).startswith(letter)

    return {
        **{letter: begins(letter) for letter in CATEGORIES},
        **{name: belongs(official) for name, official in types},
    }


CHOICES = Likeliest(part_by_type((NEXT_AND_PREVIOUS | CHOICE_TYPES).items()))
NEXTQA = declare(
    CHOICES,
    name="nextqa",
    version="nextqa-mc/likeliest-option",
    category="video QA",
    task="video_choice",
    kind="candidates",
    scorer="choice",
    headline=("accuracy",),
    licence="MIT; videos of VidOR (YFCC100M) under their Flickr terms",
    published=list_published("nextqa"),
)


def earn(text: str, example: Example) -> float:
    """The WUPS of one answer."""
    question = wups.Question(read_meta(example, "type"), example.answers)
    return wups.score_answer(text, question)


class OpenAnswers(Written):
    """WUPS; chance is left out, since every answer is a little like every other."""

    def judge(self, items: Sequence[Item]) -> Columns:
        """What each answer earned.

        Raises:
            UserError: NLTK lacks WordNet or the tagger; says how to get them.
        """
        wups.load_words()
        return super().judge(items)

    def guess(self, examples: Sequence[Example], train: Sequence[Example]) -> None:
        """None."""


OPEN = OpenAnswers(earn, parts=part_by_type((NEXT_AND_PREVIOUS | OPEN_TYPES).items()), name="WUPS")
NEXTQA_OPEN = declare(
    OPEN,
    name="nextqa_open",
    version="nextqa-oe/eval_oe@a83f8f5",
    category="video QA",
    task="video",
    kind="generate",
    scorer="wups",
    headline=("WUPS",),
    licence="MIT; videos of VidOR (YFCC100M) under their Flickr terms",
    # MMICL's paper names it among its test sets; no figure is known to us.
)
