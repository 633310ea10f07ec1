"""From sample rows to the tensors of one step on one rank."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import torch
from PIL import Image

from mmicl.errors import DataError
from mmicl.model.inference import find_placeholders
from mmicl.model.processor import IGNORED, MmiclProcessor
from mmicl.model.views import View
from mmicl.train.contrast import Captions, Contrast
from mmicl.train.order import batch_indices, plan_micro_batches
from mmicl.train.transfer import move

if TYPE_CHECKING:
    from mmicl.images.store import ImageStore
    from mmicl.model.features import FeatureStore
    from mmicl.records import Sample

PIXEL_CACHE_BYTES = 256 * 2**20

VisualLoader = Callable[[View], torch.Tensor]
"""What the model takes of an image: pixels [3, height, width], or features [queries, hidden]."""


@dataclass(frozen=True)
class MicroBatch:
    """Rows that go through the model together."""

    input_ids: torch.Tensor
    """[rows, tokens]"""
    attention_mask: torch.Tensor
    padded: bool
    """Whether the mask hides anything."""
    places: torch.Tensor
    """[placeholder tokens]: where they stand in the flattened `input_ids`."""
    labels: torch.Tensor
    """[rows, target tokens]; IGNORED throughout in rows without weight."""
    visual: torch.Tensor
    """Pixels [pictures, 3, height, width] or features [pictures, queries, hidden], each picture
    once."""
    slots: torch.Tensor
    """[images]: which of the pictures stands at each image of the rows, in order."""
    names: tuple[str, ...]
    """Sample ids of the rows."""
    contrast: Contrast | None = None
    """What the images choose among, where that is wanted."""

    def to(self, device: torch.device) -> "MicroBatch":
        """The same on a device, which need not be done with what it was given before."""
        return move(self, device)


@dataclass(frozen=True)
class StepBatch:
    """One rank's share of a global batch; the counts are those of the whole batch."""

    micro_batches: list[MicroBatch]
    samples: int
    images: int
    tokens: int
    """Of prompts and targets, without padding."""
    target_tokens: int
    """What the loss is divided by."""
    padding_share: float
    """Padding among the prompt tokens that all ranks compute on."""
    truncated: int
    """Targets that were cut at max_target_tokens."""


class BatchMaker:
    """Makes steps' batches; every rank reads the texts of the whole batch, and its own images.

    Args:
        samples: The table.
        processor: The model's.
        visual: Gives pixels or features of an image.
        ranks: How many processes share a batch.
        rank: This one.
        micro_batch: Rows that go through the model together, at the most.
        micro_tokens: Their prompt tokens, padding included, at the most.
        max_target_tokens: Longer targets are cut, and counted.
        contrastive: Weight of the images' choice among the batch's captions (`train.contrast`).
    """

    def __init__(
        self,
        samples: "Sequence[Sample]",
        processor: MmiclProcessor,
        visual: VisualLoader,
        *,
        ranks: int,
        rank: int,
        micro_batch: int,
        micro_tokens: int,
        max_target_tokens: int,
        contrastive: float = 0.0,
    ) -> None:
        self.samples, self.processor, self.visual = samples, processor, visual
        self.ranks, self.rank = ranks, rank
        self.micro_batch, self.micro_tokens = micro_batch, micro_tokens
        self.max_target_tokens, self.contrastive = max_target_tokens, contrastive

    def make_step(self, seed: int, step: int, size: int) -> StepBatch:
        """The global batch of a training step."""
        return self.make(batch_indices(len(self.samples), seed, step, size))

    def make(self, indices: Sequence[int]) -> StepBatch:
        """A batch of given samples.

        Raises:
            DataError: A sample's placeholders do not fit its images, or an image is missing.
        """
        rows = [self.samples[index] for index in indices]
        ids = self.processor.encode(
            [row.prompt for row in rows],
            [len(row.images) for row in rows],
            [row.id for row in rows],
        )
        targets = self.processor.encode_targets(
            [row.target for row in rows], self.max_target_tokens
        )
        lengths = list(map(len, ids))
        plan = plan_micro_batches(lengths, self.ranks, self.micro_batch, self.micro_tokens)
        shortest = min(range(len(ids)), key=lambda place: (len(ids[place]), place))
        computed = sum(
            len(chunk) * max(len(ids[shortest if place is None else place]) for place in chunk)
            for chunks in plan
            for chunk in chunks
        )
        prompt_tokens = sum(map(len, ids))
        captions = Captions(rows, targets.labels, self.contrastive) if self.contrastive else None
        target_tokens = int((targets.labels != IGNORED).sum())
        return StepBatch(
            micro_batches=[
                self._make_micro(rows, ids, targets.labels, chunk, shortest, captions)
                for chunk in plan[self.rank]
            ],
            samples=len(rows),
            images=sum(len(row.images) for row in rows),
            tokens=prompt_tokens + target_tokens,
            target_tokens=target_tokens,
            padding_share=1 - prompt_tokens / computed,
            truncated=targets.truncated,
        )

    def _make_micro(
        self,
        rows: "Sequence[Sample]",
        ids: Sequence[Sequence[int]],
        labels: torch.Tensor,
        chunk: Sequence[int | None],
        filler: int,
        captions: Captions | None,
    ) -> MicroBatch:
        places = [filler if place is None else place for place in chunk]
        prompts = self.processor.pad([ids[place] for place in places])
        own = labels[places].clone()
        for row, place in enumerate(chunk):
            if place is None:
                own[row] = IGNORED
        longest = max(1, int((own != IGNORED).sum(dim=1).max()))
        views = [
            (view, rows[place])
            for place in places
            for view in self.processor.views(rows[place].prompt, rows[place].images)
        ]
        owners = dict(views)
        numbers = {view: number for number, view in enumerate(owners)}
        visual = [self._load(row, view) for view, row in owners.items()]
        slots = [numbers[view] for view, _ in views]
        return MicroBatch(
            input_ids=prompts["input_ids"],
            attention_mask=prompts["attention_mask"],
            padded=not bool(prompts["attention_mask"].all()),
            places=find_placeholders(prompts["input_ids"], self.processor.placeholder_id),
            labels=own[:, :longest],
            visual=torch.stack(visual)
            if visual
            else torch.zeros(0, self.processor.num_query_tokens, 1),
            slots=torch.tensor(slots, dtype=torch.long),
            names=tuple(rows[place].id for place in places),
            contrast=captions.share_out(chunk, places) if captions else None,
        )

    def _load(self, sample: "Sample", view: View) -> torch.Tensor:
        try:
            return self.visual(view)
        except DataError as error:
            raise DataError(str(error), where=sample.id) from None


def load_pixels(images: "ImageStore", processor: MmiclProcessor) -> VisualLoader:
    """Pixels of images, the most recent ones kept in memory."""
    entry = processor.pixels([Image.new("RGB", (1, 1))]).nbytes

    @lru_cache(maxsize=max(1, PIXEL_CACHE_BYTES // entry))
    def load(reference: str) -> torch.Tensor:
        return processor.pixels([images.load(reference)])[0]

    return lambda view: load(view.image)


def load_features(store: "FeatureStore") -> VisualLoader:
    """Features from a store, read where a batch needs them."""
    return lambda view: store.get(view.key)
