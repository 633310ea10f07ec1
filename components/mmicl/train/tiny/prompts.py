"""What T5 learns to read: a prompt with the pictures behind its slots."""

from dataclasses import dataclass

from mmicl.world.description import Picture
from mmicl.world.matrices import Panel


@dataclass(frozen=True)
class Prompt:
    """A prompt as token ids, with its pictures in order.

    `asked` are the pictures the question names; `sources` those whose made-up name is the answer;
    `claim` is what the answer hangs on: the question, or the caption it asks about; `solution` the
    panel that completes a matrix.
    """

    ids: list[int]
    pictures: tuple[Picture, ...]
    target: str
    skill: str
    asked: frozenset[int] = frozenset()
    sources: frozenset[int] = frozenset()
    claim: str = ""
    solution: Panel | None = None
