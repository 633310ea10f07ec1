"""What the tests share with the training beyond equal pictures: questions, and pictures alike."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from mmicl.images.look import BITS, unpack_looks

LOOK = re.compile(rf"[0-9a-f]{{{BITS // 4}}}")
MAX_DISTANCE = 6
"""Bits in which the looks of copies may differ: re-encoding and scaling change up to as many."""
MAX_PICTURES = 20_000
"""Of either side that are compared, drawn by their keys: the time grows with their product."""
ROWS = 1024
LONG = 8
"""Words from which a question that recurs with its answer is hardly chance."""


def find_alike(asked: Mapping[str, str], shown: Mapping[str, str]) -> dict[str, str]:
    """Pictures to test with that look like one trained on.

    Args:
        asked: Key -> look (`mmicl.images.look`) of the tests' pictures.
        shown: The same of the training's.

    Returns:
        Key of a test's picture -> key of the training's picture that looks most like it, where
        they differ in `MAX_DISTANCE` bits at the most; equal keys are left out, since those are
        compared exactly elsewhere.
    """
    found = {}
    trained, looks = _draw(shown)
    for keys, rows in _cut(*_draw({key: asked[key] for key in asked if key not in shown})):
        best, place = np.full(len(keys), -1.0), np.zeros(len(keys), dtype=np.int64)
        for start in range(0, len(trained), ROWS):
            alike = rows @ looks[start : start + ROWS].T
            here = alike.argmax(axis=1)
            value = alike[np.arange(len(keys)), here]
            better = value > best
            best[better], place[better] = value[better], start + here[better]
        for key, value, where in zip(keys, best, place, strict=True):
            if value >= BITS - 2 * MAX_DISTANCE:
                found[key] = trained[int(where)]
    return found


def _draw(looks: Mapping[str, str]) -> tuple[list[str], np.ndarray]:
    """Keys and unpacked looks of at most `MAX_PICTURES`; by a hash, so that order is chance."""
    keys = sorted(key for key, look in looks.items() if LOOK.fullmatch(look or ""))[:MAX_PICTURES]
    return keys, unpack_looks([looks[key] for key in keys])


def _cut(keys: list[str], rows: np.ndarray) -> Iterator[tuple[list[str], np.ndarray]]:
    for start in range(0, len(keys), ROWS):
        yield keys[start : start + ROWS], rows[start : start + ROWS]


def find_asked(rows: Iterable[dict[str, Any]]) -> set[int]:
    """The long questions of the training splits (`hash_question`)."""
    return {
        key for row in rows if row["split"] == "train" and (key := hash_question(row)) is not None
    }


def hash_question(row: dict[str, Any]) -> int | None:
    """A question of `LONG` words and more, its choices and answer in small letters, as a hash.

    None if it is short. Sixty-four bits, of this process: two that differ among a million have the
    same once in tens of millions of runs.
    """
    question = (row["question"] or "").lower().split()
    if len(question) < LONG:
        return None
    texts = (*(row["choices"] or ()), row["target"] or "")
    return hash((" ".join(question), *(" ".join((text or "").lower().split()) for text in texts)))
