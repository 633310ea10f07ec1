"""What is encoded: an image, alone or with the instruction that the Q-Former reads beside it."""

import hashlib
from typing import NamedTuple


class View(NamedTuple):
    """An image as the Q-Former meets it.

    `instruction` is empty unless the Q-Former reads one (InstructBLIP's own protocol): the same
    image then makes other features with each prompt that it stands in.
    """

    image: str
    instruction: str = ""

    @property
    def key(self) -> str:
        """Its name in a store of features."""
        if not self.instruction:
            return self.image
        return f"{self.image}-{hashlib.sha256(self.instruction.encode()).hexdigest()[:32]}"
