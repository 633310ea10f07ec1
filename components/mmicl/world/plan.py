"""How much of a world dataset to write."""

from dataclasses import dataclass

from mmicl.records import Split


@dataclass(frozen=True)
class Plan:
    """How much of a dataset to write, and the seed that names every item's own random stream."""

    name: str
    seed: int
    n: int

    def count(self, split: Split) -> int:
        """Items of a split: n for training, an eighth for validation, a quarter for test."""
        return {"train": self.n, "val": max(8, self.n // 8), "test": max(8, self.n // 4)}[split]

    def stream(self, split: Split, index: int) -> str:
        """The seed of one item: an item does not depend on how many others there are."""
        return f"{self.name}/{self.seed}/{split}/{index}"
