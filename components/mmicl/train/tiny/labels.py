"""The right answers to what the encoder is asked (`mmicl.train.tiny.marks`), as arrays."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from mmicl.train.tiny.claims import read_claim, split_claim
from mmicl.train.tiny.panels import SIDE, UNASKED, compare
from mmicl.train.tiny.prompts import Prompt
from mmicl.world.description import COLOR, PHRASE_WORDS, SHAPE, Picture, describe
from mmicl.world.matrices import ATTRIBUTES, Panel
from mmicl.world.scenes import Relation, Scene, hold_relation

RELATIONS: tuple[Relation, ...] = ("left of", "right of", "above", "below")

Phrase = list[int]
"""Token ids of at most PHRASE_WORDS words."""
Rows = list[list[float]]


class Labeler:
    """Right answers for prompts.

    Args:
        list_tokens: Token ids of a text.
        slots: Of a picture.
    """

    def __init__(self, list_tokens: Callable[[str], list[int]], slots: int) -> None:
        self.list_tokens, self.slots = list_tokens, slots

    def label(self, prompts: Sequence[Prompt]) -> dict[str, np.ndarray]:
        """By the kind of question, float32 rows of answers: [slots or tokens, questions].

        UNASKED where a question makes no sense.
        """
        found: dict[str, Rows] = {}
        for prompt in prompts:
            for name, rows in self.label_prompt(prompt).items():
                found.setdefault(name, []).extend(rows)
        return {name: np.array(rows, dtype=np.float32) for name, rows in found.items()}

    def label_prompt(self, prompt: Prompt) -> dict[str, Rows]:
        """Rows of one prompt."""
        return {
            "image": [[n] for n in range(len(prompt.pictures)) for _ in range(self.slots)],
            **self.label_steps(prompt),
            "claim": list(self.label_claim(prompt)),
            **self.label_matrix(prompt),
            "side": self.label_sides(prompt),
            "answer": self.label_answer(prompt),
        }

    def label_steps(self, prompt: Prompt) -> dict[str, Rows]:
        """At each slot, what an answer is found by (`mmicl.train.tiny.marks`)."""
        found: dict[str, Rows] = {}
        text, target = set(prompt.ids), set(self.list_tokens(prompt.target))
        claim = read_claim(prompt.claim)
        relation = [float(claim.relation == name) for name in RELATIONS]
        shown = [self.list_phrases(picture) for picture in prompt.pictures]
        for number, (picture, phrases) in enumerate(zip(prompt.pictures, shown, strict=True)):
            is_asked, is_source = number in prompt.asked, number in prompt.sources
            other = shown[-1] if number < len(shown) - 1 else shown[-2] if number else []
            others = {word for words in other for word in words}
            stands = list_standings(picture, phrases, text)
            leads = [0.0] * len(phrases)
            if isinstance(picture, Scene) and (is_asked or not prompt.asked):
                leads[: len(picture.things)] = [float(claim.leads(it)) for it in picture.things]
            for words, standing, lead in zip(phrases, stands, leads, strict=True):
                named = [float(word in text) for word in words]
                missing = [0.0] * (PHRASE_WORDS - len(words))
                holds = target <= set(words) and (is_asked or not prompt.asked)
                row = {
                    "named": named + missing,
                    "shared": [float(word in others) for word in words] + missing,
                    "stands": standing,
                    "asked": [float(is_asked)],
                    "source": [float(is_source or (holds and any(named)))],
                    "leads": [lead],
                    "relation": relation,
                }
                for name, answers in row.items():
                    found.setdefault(name, []).append(answers)
        return found

    def label_claim(self, prompt: Prompt) -> Iterator[list[float]]:
        """At each slot, whether the question means the thing, and whether that stands so."""
        claim = read_claim(prompt.claim)
        for number, picture in enumerate(prompt.pictures):
            rows = [[0.0, 0.0] for _ in range(self.slots)]
            if isinstance(picture, Scene) and (number in prompt.asked or not prompt.asked):
                for row, thing in zip(rows, picture.things, strict=False):
                    row[:] = float(claim.means(thing)), float(claim.holds(picture, thing))
            yield from rows

    def label_matrix(self, prompt: Prompt) -> dict[str, Rows]:
        """How each panel differs from its neighbours, and which attributes of the candidate fit."""
        slots = self.slots * len(prompt.pictures)
        compared: Rows = [[UNASKED] * (2 * len(ATTRIBUTES))] * slots
        fits: Rows = [[UNASKED] * len(ATTRIBUTES)] * slots
        wanted = prompt.solution
        panels = [one for one in prompt.pictures if isinstance(one, Panel)]
        if wanted is not None and len(panels) == SIDE * SIDE:
            for place in range(len(panels)):
                compared[place * self.slots] = list(map(float, compare(panels, place)))
            pairs = zip(panels[-1].levels, wanted.levels, strict=True)
            fits[(len(panels) - 1) * self.slots] = [float(one == other) for one, other in pairs]
        return {"compared": compared, "fits": fits}

    def label_sides(self, prompt: Prompt) -> Rows:
        """At each token, whether it stands in the claim before its relation, or behind it."""
        whole = self.list_tokens(prompt.claim)
        left, _, right = split_claim(prompt.claim)
        before, after = (len(self.list_tokens(part)) for part in (left, right))
        row = [[1.0, 0.0]] * before + [[0.0, 0.0]] * (len(whole) - before - after)
        row += [[0.0, 1.0]] * after
        marks = [[0.0, 0.0]] * len(prompt.ids)
        for start in find_starts(whole, prompt.ids):
            marks[start : start + len(whole)] = row
        return marks

    def label_answer(self, prompt: Prompt) -> Rows:
        """At each token, whether the answer stands there."""
        target = self.list_tokens(prompt.target)
        marks = [[0.0]] * len(prompt.ids)
        for start in find_starts(target, prompt.ids):
            marks[start : start + len(target)] = [[1.0]] * len(target)
        return marks

    def list_phrases(self, picture: Picture) -> list[Phrase]:
        """Token ids of a picture's phrases."""
        phrases = describe(picture, self.slots)
        return [self.list_tokens(phrase)[:PHRASE_WORDS] for phrase in phrases]


def find_starts(part: Sequence[int], whole: Sequence[int]) -> list[int]:
    """Where a sequence begins within another."""
    length = len(part)
    return [n for n in range(len(whole) - length + 1) if whole[n : n + length] == part]


def list_standings(picture: Picture, phrases: Sequence[Phrase], text: set[int]) -> Rows:
    """Whether each slot's thing stands in each of RELATIONS to another thing that the text names.

    Named are the things of a scene of which most words, of colour and shape, stand in the text.
    """
    nowhere = [0.0] * len(RELATIONS)
    if not isinstance(picture, Scene):
        return [nowhere] * len(phrases)
    counts = [
        sum(word in text for word in words[COLOR : SHAPE + 1])
        for words in phrases[: len(picture.things)]
    ]
    most = max(counts, default=0)
    named = [
        thing for thing, count in zip(picture.things, counts, strict=True) if count == most > 0
    ]
    stands = [
        [
            float(any(hold_relation(thing, name, other) for other in named if other is not thing))
            for name in RELATIONS
        ]
        for thing in picture.things
    ]
    return stands + [nowhere] * (len(phrases) - len(stands))
