"""What the tests share with the training beyond equal pictures: questions, and pictures alike."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from mmicl.images.look import BITS

LOOK = re.compile(rf"[0-9a-f]{{{BITS // 4}}}")
MAX_DISTANCE = 6
"""Bits in which the looks of copies may differ: re-encoding and scaling change up to as many."""
BANDS = MAX_DISTANCE + 1
PAIRS = 1 << 20
"""Pairs that are compared at one time: what bounds the memory."""
LONG = 8
"""Words from which a question that recurs with its answer is hardly chance."""


def find_alike(asked: Mapping[str, str], shown: Mapping[str, str]) -> dict[str, str]:
    """Pictures to test with that look like one trained on.

    All pairs are covered, few are compared: of `MAX_DISTANCE + 1` bands that the bits are dealt to,
    two looks that differ in `MAX_DISTANCE` bits agree in one at least, so only those that share a
    band can be alike.

    Args:
        asked: Key -> look (`mmicl.images.look`) of the tests' pictures.
        shown: The same of the training's.

    Returns:
        Key of a test's picture -> key of the training's picture that looks most like it (of equals
        the first), where they differ in `MAX_DISTANCE` bits at the most; keys on both sides are
        left out, since those are compared exactly elsewhere.
    """
    keys, looks = _read({key: asked[key] for key in asked if key not in shown})
    known, trained = _read(shown)
    if not keys or not known:
        return {}
    # Flat pictures are thousands of one look: each look is compared once.
    looks, place = np.unique(looks, axis=0, return_inverse=True)
    trained, first = np.unique(trained, axis=0, return_index=True)
    best = np.full(len(looks), BANDS * len(known))  # distance first, then the place of the key
    for rows, others in _share_a_band(looks, trained):
        distances = _count_differing(looks[rows], trained[others])
        np.minimum.at(best, rows, distances * len(known) + first[others])
    distances, which = np.divmod(best[place.ravel()], len(known))
    return {
        key: known[other]
        for key, distance, other in zip(keys, distances, which, strict=True)
        if distance <= MAX_DISTANCE
    }


def _read(looks: Mapping[str, str]) -> tuple[list[str], np.ndarray]:
    """Keys in their order, and their looks as bytes [pictures, BITS / 8]."""
    keys = sorted(key for key, look in looks.items() if LOOK.fullmatch(look or ""))
    flat = bytes.fromhex("".join(looks[key] for key in keys))
    return keys, np.frombuffer(flat, np.uint8).reshape(len(keys), BITS // 8)


def _share_a_band(looks: np.ndarray, others: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Rows of both that agree in a band, some pairs at a time; a pair may come several times."""
    for band in range(BANDS):
        ours, theirs = _take_band(looks, band), _take_band(others, band)
        order = np.argsort(theirs, kind="stable")
        theirs = theirs[order]
        low, high = np.searchsorted(theirs, ours, "left"), np.searchsorted(theirs, ours, "right")
        ends = np.cumsum(high - low)
        for start in range(0, int(ends[-1]), PAIRS):
            pairs = np.arange(start, min(start + PAIRS, int(ends[-1])))
            rows = np.searchsorted(ends, pairs, "right")
            yield rows, order[pairs - ends[rows] + high[rows]]


def _take_band(looks: np.ndarray, band: int) -> np.ndarray:
    """Every seventh bit, as a number: neighbours are alike, and lie in different bands."""
    numbers = np.zeros(len(looks), dtype=np.int64)
    for bit in range(band, BITS, BANDS):
        numbers = numbers << 1 | looks[:, bit // 8] >> bit % 8 & 1
    return numbers


def _count_differing(looks: np.ndarray, others: np.ndarray) -> np.ndarray:
    """In how many bits each pair differs."""
    words = np.ascontiguousarray(looks).view(np.uint64) ^ np.ascontiguousarray(others).view(
        np.uint64
    )
    return np.bitwise_count(words).sum(axis=1, dtype=np.int64)


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
