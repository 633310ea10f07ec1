"""What T5 learns to read: a prompt with the pictures behind its slots."""

from dataclasses import dataclass

from mmicl.world.description import Picture


@dataclass(frozen=True)
class Prompt:
    """A prompt as token ids, with its pictures in order.

    `asked` are the pictures the question names; `sources` those whose made-up name is the answer.
    """

    ids: list[int]
    pictures: tuple[Picture, ...]
    target: str
    skill: str
    asked: frozenset[int] = frozenset()
    sources: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Written:
    """What a `Prompt` is encoded from."""

    skill: str
    text: str
    target: str
    pictures: tuple[Picture, ...]
    asked: frozenset[int]
    sources: frozenset[int]
