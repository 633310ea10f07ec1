"""How much of a world dataset to write."""

from dataclasses import dataclass

from mmicl.records import Split


@dataclass(frozen=True)
class Plan:
    """How much of a dataset to write, and the seed that names every item's own random stream.

    `test` is the number of test items; a quarter of `n` where it is None.
    """

    name: str
    seed: int
    n: int
    test: int | None = None

    def count(self, split: Split) -> int:
        """Items of a split: n for training, an eighth for validation, `test` for test."""
        test = max(8, self.n // 4) if self.test is None else self.test
        return {"train": self.n, "val": max(8, self.n // 8), "test": test}[split]

    def stream(self, split: Split, index: int) -> str:
        """The seed of one item: an item does not depend on how many others there are."""
        return f"{self.name}/{self.seed}/{split}/{index}"
