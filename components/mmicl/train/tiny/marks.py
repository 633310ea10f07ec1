"""What the encoder is asked at every slot while T5 learns to read; thrown away afterwards.

An answer is found in steps, and the answer alone says nothing of a step. Before the encoder's last
layer each slot is asked which words of its phrase the text names, and which the phrases of another
image hold (the last image's; at that one itself, those of the image before); how its thing stands
to the things that the text names; which image it belongs to, whether the question names that image,
and whether the answer is read off this slot. Behind the last layer it is asked whether the question
means its thing, whether the thing stands as the question says, and which words of a panel complete
the matrix; and each word of the text, whether it belongs to the answer.

With the steps asked for behind the last layer alone, slots knew how things stand to each other and
which example shares the last picture's class, and the answers were still at chance.
"""

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from mmicl.records import MAX_PROXIES
from mmicl.train.tiny.claims import read_claim, split_claim
from mmicl.train.tiny.prompts import Prompt
from mmicl.world.description import COLOR, PHRASE_WORDS, SHAPE, Picture, describe
from mmicl.world.matrices import Panel
from mmicl.world.scenes import Relation, Scene, hold_relation

RELATIONS: tuple[Relation, ...] = ("left of", "right of", "above", "below")
STEPS = {
    "named": (PHRASE_WORDS, 2.0),
    "shared": (PHRASE_WORDS, 2.0),
    "stands": (len(RELATIONS), 2.0),
    "asked": (1, 1.0),
    "source": (1, 1.0),
    "leads": (1, 2.0),
    "relation": (len(RELATIONS), 1.0),
}
"""Yes/no questions at a slot before the last layer: how many of each kind, and their weight beside
the answer's loss of 1 and that of the slot's image."""
CLAIMS = 2 + PHRASE_WORDS
SIDE, CLAIM, ANSWER = 4.0, 4.0, 4.0
"""Weights of what else is asked: of words before the last layer; of slots and words behind it."""

Phrase = list[int]
"""Token ids of at most PHRASE_WORDS words."""


class Marks(nn.Module):
    """Classifiers over the encoder's states.

    Args:
        width: Of the states.
        list_tokens: Token ids of a text.
        slots: Of a picture.
    """

    def __init__(self, width: int, list_tokens: Callable[[str], list[int]], slots: int) -> None:
        super().__init__()
        self.steps = nn.Linear(width, sum(count for count, _ in STEPS.values()))
        self.image = nn.Linear(width, MAX_PROXIES)
        self.side = nn.Linear(width, 2)
        self.claim = nn.Linear(width, CLAIMS)
        self.answer = nn.Linear(width, 1)
        self._list_tokens, self._slots = list_tokens, slots

    def forward(
        self, prompts: Sequence[Prompt], places: Tensor, before: Tensor, states: Tensor
    ) -> Tensor:
        """The weighted sum of the classifiers' losses.

        Args:
            prompts: One behind the other.
            places: Of all their slots among all their tokens.
            before: States before the encoder's last layer, [tokens, width].
            states: Behind it.
        """
        before = functional.rms_norm(before, before.shape[-1:])
        slots = before[places]
        images = [number for prompt in prompts for number in list_images(prompt, self._slots)]
        loss = functional.cross_entropy(self.image(slots), torch.tensor(images))
        counts = [count for count, _ in STEPS.values()]
        steps = torch.tensor([row for prompt in prompts for row in self.mark_steps(prompt)])
        found, wanted = self.steps(slots).split(counts, 1), steps.split(counts, 1)
        for (_, weight), logits, labels in zip(STEPS.values(), found, wanted, strict=True):
            loss = loss + weight * functional.binary_cross_entropy_with_logits(logits, labels)
        for weight, logits, mark in (
            (SIDE, self.side(before), self.mark_sides),
            (CLAIM, self.claim(states[places]), self.mark_claim),
            (ANSWER, self.answer(states), self.mark_answer),
        ):
            labels = torch.tensor([row for prompt in prompts for row in mark(prompt)])
            loss = loss + weight * functional.binary_cross_entropy_with_logits(logits, labels)
        return loss

    def mark_claim(self, prompt: Prompt) -> Iterator[list[float]]:
        """What the question says of each slot.

        Whether it means the thing, whether that stands as it says, and which of a panel
        words are those of the panel that completes the matrix.
        """
        claim = read_claim(prompt.claim)
        wanted = prompt.solution.words() if prompt.solution else []
        for number, picture in enumerate(prompt.pictures):
            rows = [[0.0] * CLAIMS for _ in range(self._slots)]
            if isinstance(picture, Panel):
                for place, (word, right) in enumerate(zip(picture.words(), wanted, strict=False)):
                    rows[0][2 + place] = float(word == right)
            elif isinstance(picture, Scene) and (number in prompt.asked or not prompt.asked):
                for row, thing in zip(rows, picture.things, strict=False):
                    row[:2] = float(claim.means(thing)), float(claim.holds(picture, thing))
            yield from rows

    def mark_sides(self, prompt: Prompt) -> list[list[float]]:
        """At each token, whether it stands in the claim before its relation, or behind it."""
        whole = self._list_tokens(prompt.claim)
        left, _, right = split_claim(prompt.claim)
        before, after = (len(self._list_tokens(part)) for part in (left, right))
        row = [[1.0, 0.0]] * before + [[0.0, 0.0]] * (len(whole) - before - after)
        row += [[0.0, 1.0]] * after
        marks = [[0.0, 0.0]] * len(prompt.ids)
        for start in find_starts(whole, prompt.ids):
            marks[start : start + len(whole)] = row
        return marks

    def mark_answer(self, prompt: Prompt) -> list[list[float]]:
        """At each token, whether the answer stands there."""
        target = self._list_tokens(prompt.target)
        marks = [[0.0]] * len(prompt.ids)
        for start in find_starts(target, prompt.ids):
            marks[start : start + len(target)] = [[1.0]] * len(target)
        return marks

    def mark_steps(self, prompt: Prompt) -> Iterator[list[float]]:
        """The right answers at each slot of a prompt: 1 or 0 for each yes/no question."""
        text, target = set(prompt.ids), set(self._list_tokens(prompt.target))
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
                shared = [float(word in others) for word in words]
                missing = [0.0] * (PHRASE_WORDS - len(words))
                holds = target <= set(words) and (is_asked or not prompt.asked)
                source = is_source or (holds and any(named))
                yield [
                    *named, *missing, *shared, *missing, *standing, float(is_asked), float(source),
                    lead, *relation,
                ]  # fmt: skip

    def list_phrases(self, picture: Picture) -> list[Phrase]:
        """Token ids of a picture's phrases."""
        phrases = describe(picture, self._slots)
        return [self._list_tokens(phrase)[:PHRASE_WORDS] for phrase in phrases]


def find_starts(part: Sequence[int], whole: Sequence[int]) -> list[int]:
    """Where a sequence begins within another."""
    length = len(part)
    return [n for n in range(len(whole) - length + 1) if whole[n : n + length] == part]


def list_images(prompt: Prompt, slots: int) -> list[int]:
    """The number of the image that each slot belongs to."""
    return [number for number in range(len(prompt.pictures)) for _ in range(slots)]


def list_standings(
    picture: Picture, phrases: Sequence[Phrase], text: set[int]
) -> list[list[float]]:
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
