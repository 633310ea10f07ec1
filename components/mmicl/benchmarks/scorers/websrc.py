"""WebSRC: exact match, F1 and path overlap (POS) of one answer, 0 to 1.

As src/utils_evaluate.py of X-LANCE/WebSRC-Baseline @ a9f1c29 computes them. Text is compared as
SQuAD does: lower case, without punctuation and articles. POS is the overlap of two paths in the
page's tree, from the root's child to the right tag and to the tag that holds all predicted ones.
The page is read by html.parser, where the official code takes what BeautifulSoup finds installed;
they agree where tags are closed, as in the published pages.
"""

import re
import string
from collections import Counter
from collections.abc import Mapping, Sequence
from html.parser import HTMLParser

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)
_VOID = {
    "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source",
    "track", "wbr",
}  # fmt: skip
Tree = Mapping[int, frozenset[int]]
"""A tag's number -> the numbers on its path from the root's child (2 and above) to itself."""


def normalise(text: str) -> str:
    """Lower case, no punctuation, no articles, single spaces."""
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split())


def exact(answer: str, prediction: str) -> int:
    """1 where both are the same."""
    return int(normalise(answer) == normalise(prediction))


def f1(answer: str, prediction: str) -> float:
    """Harmonic mean of the words' precision and recall; two empty answers agree."""
    right, given = normalise(answer).split(), normalise(prediction).split()
    if not right or not given:
        return float(right == given)
    same = (Counter(right) & Counter(given)).total()
    if not same:
        return 0.0
    precision, recall = same / len(given), same / len(right)
    return 2 * precision * recall / (precision + recall)


def pos(tree: Tree, tag: int, addition: int, predicted: Sequence[int]) -> float:
    """The overlap of paths, 0 to 1.

    Args:
        tree: The page; see `read_tree`.
        tag: The right tag. Below 0 for yes/no questions, which have none.
        addition: Of such a question, 1 where the answer is yes, 0 where no.
        predicted: The tags of the answer's words. For a yes or no one number beyond the page's
            tags: the first of them is no, any later one yes.
    """
    if tag not in tree:
        if len(predicted) != 1 or predicted[0] in tree:
            return 0.0
        before = predicted[0] - 1 in tree
        return 0.0 if before == (addition == 1) else 1.0
    right = tree[tag]
    shared: frozenset[int] | None = None
    for one in predicted:
        path = tree.get(one, frozenset([one]))
        shared = path if shared is None else shared & path
    found = shared or frozenset()
    return len(right & found) / len(right | found)


def read_tree(page: str) -> Tree:
    """The paths of all tags that carry a number (`tid`)."""
    reader = _Reader()
    reader.feed(page)
    reader.close()
    return reader.paths


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.paths: dict[int, frozenset[int]] = {}
        self.open: list[tuple[str, frozenset[int]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        above = self.open[-1][1] if self.open else frozenset()
        number = dict(attrs).get("tid") or ""
        path = above
        if number.isascii() and number.isdecimal():
            # Paths begin below html and body, the tags 0 and 1.
            path = above | {int(number)}
            self.paths.setdefault(int(number), path)
            path = path - {0, 1}
        if tag not in _VOID:
            self.open.append((tag, path))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in _VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        for place in range(len(self.open) - 1, -1, -1):
            if self.open[place][0] == tag:
                del self.open[place:]
                return
