"""Tokens of captions, and BLEU from counts."""

import numpy as np
import pytest

from mmicl.benchmarks.scorers import caption
from mmicl.benchmarks.scorers.ptb import tokenize_captions


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("A man's dog, running.", "a man 's dog running"),
        ("They don't; he cannot!", "they do n't he can not"),
        ("two men (one old)", "two men -lrb- one old -rrb-"),
        ("a well-known t-shirt / cap", "a well-known t-shirt / cap"),
        ("Mr. Smith at 3:30 p.m.", "mr. smith at 3:30 p.m."),
        ('the "red" one...', "the red one"),
        ("wow!! a cat", "wow !! a cat"),
        ("it costs $5 & 10%", "it costs $ 5 & 10 %"),
        ("a – b — c -- d", "a b c d"),
        ("", ""),
    ],
)
def test_tokens(text: str, tokens: str) -> None:
    assert tokenize_captions([text]) == [tokens]


def test_captions_stay_apart() -> None:
    assert tokenize_captions(["a cat.", "", "line\nbreak", "x"]) == ["a cat", "", "line break", "x"]
    assert tokenize_captions([]) == []


def test_an_initial_ends_a_sentence_before_a_sentence_beginning() -> None:
    """The one case where the official tool's tokens depend on the next caption."""
    assert tokenize_captions(["plan B.", "The cat"]) == ["plan b", "the cat"]
    assert tokenize_captions(["plan B.", "Cats"]) == ["plan b.", "cats"]


def test_bleu_is_a_function_of_the_summed_counts() -> None:
    captions = ["a cat sits on the mat", "a dog", "two birds fly high above"]
    references = [["the cat sits on a mat", "a cat sat"], ["one dog runs here"], ["two birds fly"]]
    scores = caption.score(captions, references)
    total = scores.bleu_parts.sum(axis=0)
    for order in range(1, 5):
        value = float(caption.bleu_of(total, order))
        assert value == pytest.approx(scores.overall[f"Bleu_{order}"], rel=1e-12)
    drawn = np.stack([total, scores.bleu_parts[[0, 0, 2]].sum(axis=0)])
    again = caption.score([captions[k] for k in (0, 0, 2)], [references[k] for k in (0, 0, 2)])
    assert caption.bleu_of(drawn)[1] == pytest.approx(again.overall["Bleu_4"], rel=1e-12)


def test_a_perfect_and_an_empty_caption() -> None:
    references = [["a red ball on a box"], ["two dogs play in snow"], ["green grass and sky"]]
    perfect = caption.score([row[0] for row in references], references)
    assert perfect.overall["CIDEr"] == pytest.approx(10)
    assert perfect.overall["ROUGE_L"] == pytest.approx(1)
    empty = caption.score(["", "", ""], references)
    assert empty.overall["CIDEr"] == 0
    assert empty.overall["ROUGE_L"] == 0
