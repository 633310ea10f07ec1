"""What the encoder is asked at every slot while T5 learns to read; thrown away afterwards.

An answer is found in steps, and the answer alone says nothing of a step. Each slot is asked which
words of its phrase the text names, and which the phrases of another image hold (the last image's;
at that one itself, those of the image before); how its thing stands to the things that the text
names; which image it belongs to, whether the question names that image, and whether the answer is
read off this slot. Before it was asked how things stand to each other, the question whether one is
left of another was answered at chance after 11,800 steps.
"""

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from mmicl.records import MAX_PROXIES
from mmicl.train.tiny.prompts import Prompt
from mmicl.world.description import COLOR, PHRASE_WORDS, SHAPE, Picture, describe
from mmicl.world.scenes import Relation, Scene, hold_relation

RELATIONS: tuple[Relation, ...] = ("left of", "right of", "above", "below")
YES_NO = {
    "named": (PHRASE_WORDS, 2.0),
    "shared": (PHRASE_WORDS, 2.0),
    "stands": (len(RELATIONS), 2.0),
    "asked": (1, 1.0),
    "source": (1, 1.0),
}
"""Yes/no questions at a slot: how many of each kind, and their weight beside the answer's loss of 1
and that of the slot's image."""

Phrase = list[int]
"""Token ids of at most PHRASE_WORDS words."""


class Marks(nn.Module):
    """Classifiers over the encoder's states at the slots.

    Args:
        width: Of the states.
        list_tokens: Token ids of a text.
        slots: Of a picture.
    """

    def __init__(self, width: int, list_tokens: Callable[[str], list[int]], slots: int) -> None:
        super().__init__()
        self.yes_no = nn.Linear(width, sum(count for count, _ in YES_NO.values()))
        self.image = nn.Linear(width, MAX_PROXIES)
        self._list_tokens, self._slots = list_tokens, slots

    def forward(self, prompts: Sequence[Prompt], states: Tensor) -> Tensor:
        """The weighted sum of the classifiers' losses; states are [slots of all prompts, width]."""
        rows = [row for prompt in prompts for row in self.mark(prompt)]
        images = [number for prompt in prompts for number in list_images(prompt, self._slots)]
        loss = functional.cross_entropy(self.image(states), torch.tensor(images))
        counts = [count for count, _ in YES_NO.values()]
        found, wanted = self.yes_no(states).split(counts, 1), torch.tensor(rows).split(counts, 1)
        for (_, weight), logits, labels in zip(YES_NO.values(), found, wanted, strict=True):
            loss = loss + weight * functional.binary_cross_entropy_with_logits(logits, labels)
        return loss

    def mark(self, prompt: Prompt) -> Iterator[list[float]]:
        """The right answers at each slot of a prompt: 1 or 0 for each yes/no question."""
        text, target = set(prompt.ids), set(self._list_tokens(prompt.target))
        shown = [self.list_phrases(picture) for picture in prompt.pictures]
        for number, (picture, phrases) in enumerate(zip(prompt.pictures, shown, strict=True)):
            is_asked, is_source = number in prompt.asked, number in prompt.sources
            other = shown[-1] if number < len(shown) - 1 else shown[-2] if number else []
            others = {word for words in other for word in words}
            stands = list_standings(picture, phrases, text)
            for words, standing in zip(phrases, stands, strict=True):
                named = [float(word in text) for word in words]
                shared = [float(word in others) for word in words]
                missing = [0.0] * (PHRASE_WORDS - len(words))
                holds = target <= set(words) and (is_asked or not prompt.asked)
                source = is_source or (holds and any(named))
                yield [
                    *named, *missing, *shared, *missing, *standing, float(is_asked), float(source)
                ]  # fmt: skip

    def list_phrases(self, picture: Picture) -> list[Phrase]:
        """Token ids of a picture's phrases."""
        phrases = describe(picture, self._slots)
        return [self._list_tokens(phrase)[:PHRASE_WORDS] for phrase in phrases]


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
