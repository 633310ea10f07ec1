"""How the original trains, by our own code: what the benchmark compares with.

Prompts are padded to 512 tokens and images to 8 slots, batches are plain and random, and every
image goes through encoder and Q-Former in every step (the released code; its micro-batches are 12
prompts for XL, 3 for XXL). In its favour: pictures lie decoded in memory, targets are padded to
their micro-batch's longest alone, and frozen parts draw no dropout.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from mmicl.model.inference import find_placeholders
from mmicl.model.processor import IGNORED
from mmicl.model.views import View
from mmicl.train.batches import BatchMaker, MicroBatch, StepBatch

TOKENS = 512
"""Every prompt has so many; a longer one would be cut."""
SLOTS = 8
"""Images a prompt, empty ones included; empty ones are taken out before the encoder."""


@dataclass(frozen=True, kw_only=True)
class PaddedMicroBatch(MicroBatch):
    """`visual` is [rows, SLOTS, 3, height, width]."""

    filled: torch.Tensor
    """Which slots hold an image: [rows, SLOTS], boolean."""

    def to(self, device: torch.device) -> MicroBatch:
        """The images of the filled slots, on a device; empty slots travel too."""
        whole = super().to(device)
        images = whole.visual[self.filled.to(device)]
        slots = torch.arange(len(images), device=device)
        return replace(whole, visual=images, slots=slots)


class ReferenceBatches(BatchMaker):
    """A BatchMaker that packs nothing: `micro_batch` rows at a time, in the order they come."""

    def make(self, indices: Sequence[int]) -> StepBatch:
        """A batch of given samples."""
        micros = [
            self._pad_micro(indices[start : start + self.micro_batch])
            for start in range(0, len(indices), self.micro_batch)
        ]
        prompt_tokens = sum(int(micro.attention_mask.sum()) for micro in micros)
        target_tokens = sum(int((micro.labels != IGNORED).sum()) for micro in micros)
        return StepBatch(
            micro_batches=list(micros),
            samples=len(indices),
            images=sum(int(micro.filled.sum()) for micro in micros),
            tokens=prompt_tokens + target_tokens,
            target_tokens=target_tokens,
            padding_share=1 - prompt_tokens / (TOKENS * len(indices)),
            truncated=0,
        )

    def _pad_micro(self, indices: Sequence[int]) -> PaddedMicroBatch:
        rows = [self.samples[index] for index in indices]
        ids = self.processor.encode([row.prompt for row in rows], [len(row.images) for row in rows])
        prompts = torch.full((len(rows), TOKENS), self.processor.pad_id)
        mask = torch.zeros(len(rows), TOKENS, dtype=torch.long)
        for place, values in enumerate(ids):
            values = values[:TOKENS]
            prompts[place, : len(values)] = torch.tensor(values)
            mask[place, : len(values)] = 1
        loaded = [[self.visual(View(image)) for image in row.images] for row in rows]
        pixels = torch.zeros(len(rows), SLOTS, *loaded[0][0].shape)
        filled = torch.zeros(len(rows), SLOTS, dtype=torch.bool)
        for place, values in enumerate(loaded):
            pixels[place, : len(values)] = torch.stack(values)
            filled[place, : len(values)] = True
        targets = [row.target for row in rows]
        labels = self.processor.encode_targets(targets, self.max_target_tokens).labels
        names = tuple(row.id for row in rows)
        slots = torch.arange(int(filled.sum()))
        places = find_placeholders(prompts, self.processor.placeholder_id)
        return PaddedMicroBatch(
            prompts, mask, True, places, labels, pixels, slots, names, filled=filled
        )
