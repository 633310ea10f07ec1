"""Which paraphrases may enter the bank. The answers are untrusted: nothing is repaired."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import SequenceMatcher

from pydantic import ValidationError

from mmicl.augment.prompts import Paraphrases, slots_of
from mmicl.augment.replies import Reply
from mmicl.mic.templates import MAX_LENGTH, RESERVED, find_faults, split_slots
from mmicl.records import Template

ADDRESS = re.compile(r"://|\bwww\.|\b[\w-]+\.(?:com|org|net|io|ai|dev|edu|gov|info|co)\b|@", re.I)
ALLOWED = re.compile(r"""[A-Za-z ,.:;?!'"()&/{}‘’“”–—-]*""")
"""No digits (a numbered image is wrong once exemplars come before it), no markup, one line."""
ALIKE = 0.9
"""Share of words in common, in order, from which two texts are near-duplicates; the most alike
two of a task that were written by hand reach 0.86."""
ANSWERS = (frozenset({"true", "false"}), frozenset({"yes", "no"}))
"""Words by which an instruction says how to answer: another pair would contradict the target."""
WORD = re.compile(r"\{[^{}]*\}|[^\W\d_]+")


@dataclass(frozen=True)
class Drop:
    """A paraphrase, or a whole answer, that was not taken, and why."""

    template: str
    reason: str
    text: str


def read_answer(reply: Reply) -> tuple[list[str], str | None]:
    """The texts of an answer, or the reason why it has none."""
    if reply.text is None:
        return [], "answer: refused"
    if reply.finish == "length":
        return [], "answer: cut off"
    try:
        return Paraphrases.model_validate_json(reply.text).paraphrases, None
    except ValidationError:
        return [], "answer: not of the schema"


def find_reason(text: str, parent: Template) -> str | None:
    """Why a text cannot stand for its parent template; None where nothing is wrong with it."""
    if not text.strip():
        return "empty"
    if len(text) > MAX_LENGTH:
        return f"more than {MAX_LENGTH} characters"
    if RESERVED.search(text):
        return "placeholder or proxy"
    if ADDRESS.search(text):
        return "address"
    if not ALLOWED.fullmatch(text):
        return "character not allowed"
    if reason := _find_slot_reason(text, parent):
        return reason
    if _has_words(parent.text) and not _has_words(text):
        return "no words"
    if _answer_words(text) != _answer_words(parent.text):
        return "other answer words"
    # What the bank itself refuses, should its rules ever be stricter than those above.
    faults = find_faults(parent.model_copy(update={"text": text}))
    return f"bank: {faults[0]}" if faults else None


def _find_slot_reason(text: str, parent: Template) -> str | None:
    """What is wrong with a text's slots beside its parent's."""
    try:
        found, names = slots_of(text), [slot for _, slot, _ in split_slots(text) if slot]
    except ValueError:
        return "braces do not match"
    wanted = slots_of(parent.text)
    wanted_names = {slot for _, slot, _ in split_slots(parent.text) if slot}
    if set(names) - wanted_names or len(names) < len(found):
        return "invented slot"
    if wanted_names - set(names):
        return "slot missing"
    if len(names) > len(wanted_names):
        return "slot repeated"
    return None if sorted(found) == sorted(wanted) else "slot of another form"


def split_words(text: str) -> list[str]:
    """A text's words in lower case, without punctuation; a slot is one word."""
    return WORD.findall(text.casefold())


def _has_words(text: str) -> bool:
    """Whether there is anything beside the slots."""
    return not all(word.startswith("{") for word in split_words(text))


def _answer_words(text: str) -> list[bool]:
    words = set(split_words(text))
    return [pair <= words for pair in ANSWERS]


def are_alike(text: str, other: str) -> bool:
    """Whether two texts are near-duplicates.

    Measured by difflib over words, slots included: twice the words of the matching runs over the
    words of both, so that case and punctuation do not count but order does.
    """
    first, second = sorted((split_words(text), split_words(other)))
    return SequenceMatcher(None, first, second, autojunk=False).ratio() >= ALIKE


def sift(
    parent: Template, texts: Iterable[str], known: Iterable[str], limit: int
) -> tuple[list[str], list[Drop]]:
    """Take the sound texts of one answer, in its order.

    Args:
        parent: The template they paraphrase.
        texts: As they came.
        known: Texts of the task that are in the bank, or were taken before.
        limit: How many were asked for; a longer answer is not read on.

    Returns:
        What was taken, and a Drop for each of the others.
    """
    taken: list[str] = []
    drops: list[Drop] = []
    seen = list(known)
    for number, text in enumerate(texts):
        reason = "more than asked for" if number >= limit else find_reason(text, parent)
        if reason is None and any(are_alike(text, other) for other in seen):
            reason = "near-duplicate"
        if reason is None:
            taken.append(text)
            seen.append(text)
        else:
            drops.append(Drop(parent.id, reason, text[:MAX_LENGTH]))
    return taken, drops
