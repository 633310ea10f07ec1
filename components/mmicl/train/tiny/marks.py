"""What the encoder is asked while T5 learns to read; thrown away afterwards.

An answer is found in steps, and the answer alone says nothing of a step. Before the encoder's last
layer each slot is asked which words of its phrase the text names, and which the phrases of another
image hold (the last image's; at that one itself, those of the image before); how its thing stands
to the things that the text names; which image it belongs to, whether the question names that image,
and whether the answer is read off this slot. Behind the last layer it is asked whether the question
means its thing, and whether that stands as the question says; and each word of the text, whether it
belongs to the answer.

With the steps asked for behind the last layer alone, slots knew how things stand to each other and
which example shares the last picture's class, and the answers were still at chance.

A matrix takes one step more: two layers before the end each panel is asked how it differs from its
neighbours, behind the last layer the candidate which of its attributes fit. Asked between the two
which rules hold and what is wanted, the panels were still compared wrongly after 2,800 steps (65 %,
without those questions 95 %).
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from torch import Tensor, nn
from torch.nn import functional

from mmicl.records import MAX_PROXIES
from mmicl.train.tiny.labels import RELATIONS
from mmicl.train.tiny.panels import FARTHER, UNASKED
from mmicl.world.description import PHRASE_WORDS
from mmicl.world.matrices import ATTRIBUTES


class Kind(NamedTuple):
    """Questions of one kind.

    Attributes:
        questions: How many at one place.
        weight: Of their mean loss, beside the answer's loss of 1.
        left: Encoder layers between where they are asked and the encoder's end.
        classes: Answers to choose from; 0 for yes or no.
        everywhere: Asked at every token, not only at slots.
    """

    questions: int
    weight: float
    left: int
    classes: int = 0
    everywhere: bool = False


KINDS = {
    "compared": Kind(2 * len(ATTRIBUTES), 4.0, 2, classes=FARTHER + 1),
    "image": Kind(1, 1.0, 1, classes=MAX_PROXIES),
    "named": Kind(PHRASE_WORDS, 2.0, 1),
    "shared": Kind(PHRASE_WORDS, 6.0, 1),
    "stands": Kind(len(RELATIONS), 2.0, 1),
    "asked": Kind(1, 1.0, 1),
    "source": Kind(1, 3.0, 1),
    "leads": Kind(1, 10.0, 1),
    "relation": Kind(len(RELATIONS), 1.0, 1),
    "side": Kind(2, 4.0, 1, everywhere=True),
    "claim": Kind(2, 4.0, 0),
    "fits": Kind(len(ATTRIBUTES), 4.0, 0),
    "answer": Kind(1, 4.0, 0, everywhere=True),
}
"""Where few places are asked, the mean over all of them hides the question, so `leads` (one slot in
sixty), `shared`, `source` and `claim` weigh more. With a weight of 1 to 2 for each of them, after
12,000 steps of 64 prompts the thing that a sentence is about was found in 53 % of Winoground's and
the earlier picture that shares the last one's class in 64 %, and both answers were at chance."""


class Marks(nn.Module):
    """Classifiers over the encoder's states, which are `width` wide."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.heads = nn.ModuleDict(
            {
                name: nn.Linear(width, kind.questions * max(1, kind.classes))
                for name, kind in KINDS.items()
            }
        )

    def forward(
        self, layers: Sequence[Tensor], states: Tensor, places: Tensor, labels: Mapping[str, Tensor]
    ) -> Tensor:
        """The weighted sum of the classifiers' losses.

        Args:
            layers: What each layer of the encoder gives, [tokens, width].
            states: What the encoder gives, [tokens, width].
            places: Of the slots among the tokens.
            labels: As `labels.Labeler` makes them.
        """
        total = states.new_zeros(())
        for name, kind in KINDS.items():
            read = layers[-1 - kind.left] if kind.left else states
            if not kind.everywhere:
                read = read[places]
            if kind.left:
                read = functional.rms_norm(read, read.shape[-1:])
            losses = find_losses(self.heads[name](read), labels[name], kind.classes)
            asked = labels[name] != UNASKED
            total = total + kind.weight * (losses * asked).sum() / asked.sum().clamp(min=1)
        return total


def find_losses(logits: Tensor, labels: Tensor, classes: int) -> Tensor:
    """The loss of each question, [places, questions]; of no meaning where it was not asked."""
    if not classes:
        return functional.binary_cross_entropy_with_logits(
            logits, labels.clamp(min=0), reduction="none"
        )
    rows = logits.view(-1, classes)
    wanted = labels.clamp(min=0).long().flatten()
    return functional.cross_entropy(rows, wanted, reduction="none").view_as(labels)
