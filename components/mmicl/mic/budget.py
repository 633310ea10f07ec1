"""What a prompt may hold. Too much costs it exemplars; no text and no image is ever cut in two."""

from collections.abc import Callable
from dataclasses import dataclass

from mmicl.records import MAX_PROXIES


@dataclass(frozen=True)
class Budget:
    """The limits of a prompt, for training data and benchmarks alike.

    Attributes:
        max_images: Images it may show, `MAX_PROXIES` at the most.
        max_tokens: Tokens it may have, those of its images included and the target's not; None
            sets no limit.
        count: Gives the tokens of a prompt with one placeholder per image, as the model will see
            them (`MmiclProcessor.count`); wanted where there is `max_tokens`.
    """

    max_images: int = MAX_PROXIES
    max_tokens: int | None = None
    count: Callable[[str], int] | None = None

    def __post_init__(self) -> None:
        if self.max_images > MAX_PROXIES:
            raise ValueError(f"there are {MAX_PROXIES} proxies")
        if self.max_tokens is not None and self.count is None:
            raise ValueError("max_tokens without something to count them")

    def is_kept(self, prompt: str) -> bool:
        """Whether a prompt keeps to `max_tokens`."""
        return (
            self.max_tokens is None or self.count is None or self.count(prompt) <= self.max_tokens
        )


WHOLE = Budget()
"""All that the proxies allow."""
