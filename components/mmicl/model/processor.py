"""Prompts with any number of images -> the tensors that BLIP-2 takes.

A prompt holds one placeholder per image; the model wants as many as its Q-Former has queries. The
images of a whole batch lie in one tensor, in the order of their placeholders.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from mmicl.errors import DataError, UserError
from mmicl.records import PLACEHOLDER

if TYPE_CHECKING:
    from pathlib import Path

    from PIL.Image import Image
    from transformers import BatchFeature, PreTrainedTokenizerBase
    from transformers.image_processing_backends import PilBackend

IGNORED = -100
"""Label of padding: no loss."""


@dataclass(frozen=True)
class Targets:
    """Token ids of target texts, padded.

    `labels` is [texts, tokens] with IGNORED behind each text's end; `truncated` counts the texts
    that were longer than allowed (they carry no end token: the model does not learn to stop there).
    """

    labels: torch.Tensor
    truncated: int


class MmiclProcessor:
    """Tokenizer and image processor of one model, for prompts with interleaved images."""

    def __init__(
        self,
        tokenizer: "PreTrainedTokenizerBase",
        image_processor: "PilBackend",
        num_query_tokens: int,
    ) -> None:
        self.tokenizer = tokenizer
        self.image_processor = image_processor
        self.num_query_tokens = num_query_tokens
        self.pad_id = _single_id(tokenizer, str(tokenizer.pad_token))
        self.placeholder_id = _single_id(tokenizer, PLACEHOLDER)

    def __call__(
        self,
        images: "Sequence[Sequence[Image]]",
        text: Sequence[str],
        *,
        names: Sequence[str] | None = None,
        return_tensors: str = "pt",
    ) -> "BatchFeature":
        """Prepare a batch.

        Args:
            images: The images of each prompt, in the order of its placeholders.
            text: The prompts, one placeholder per image.
            names: What to call the prompts in errors; their texts by default.
            return_tensors: Only `pt`.

        Returns:
            `input_ids` and `attention_mask` [prompts, tokens], `pixel_values` [images, 3, height,
            width] (left out where no prompt has an image).

        Raises:
            DataError: A prompt has another number of placeholders than images; names it.
        """
        from transformers import BatchFeature

        if return_tensors != "pt":
            raise UserError(f"return_tensors={return_tensors!r} is not offered", remedy="use pt")
        ids = self.encode(text, [len(row) for row in images], names)
        flat = [image for row in images for image in row]
        batch = self.pad(ids)
        if flat:
            batch["pixel_values"] = self.pixels(flat)
        return BatchFeature(batch)

    def encode(
        self, text: Sequence[str], image_counts: Sequence[int], names: Sequence[str] | None = None
    ) -> list[list[int]]:
        """Token ids of prompts, each placeholder repeated once per query.

        Raises:
            DataError: As `__call__`.
        """
        names = names or [repr(prompt) for prompt in text]
        for name, prompt, count in zip(names, text, image_counts, strict=True):
            if (found := prompt.count(PLACEHOLDER)) != count:
                raise DataError(
                    f"the prompt has {found} placeholders ({PLACEHOLDER}) for {count} images",
                    where=name,
                    remedy="give one placeholder per image",
                )
        expanded = [
            prompt.replace(PLACEHOLDER, PLACEHOLDER * self.num_query_tokens) for prompt in text
        ]
        return self.tokenizer(expanded, truncation=False).input_ids if expanded else []

    def pad(self, ids: Sequence[Sequence[int]]) -> dict[str, torch.Tensor]:
        """Pad token ids to the longest: `input_ids` and `attention_mask`, [prompts, tokens]."""
        width = max(map(len, ids))
        input_ids = torch.full((len(ids), width), self.pad_id)
        mask = torch.zeros((len(ids), width), dtype=torch.long)
        for row, values in enumerate(ids):
            input_ids[row, : len(values)] = torch.tensor(values)
            mask[row, : len(values)] = 1
        return {"input_ids": input_ids, "attention_mask": mask}

    def pixels(self, images: "Sequence[Image]") -> torch.Tensor:
        """Resized and normalised images, float32 [images, 3, height, width]."""
        values = self.image_processor(list(images), return_tensors="np")["pixel_values"]
        return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))

    def encode_targets(self, text: Sequence[str], max_tokens: int | None = None) -> Targets:
        """Labels of target texts, each with its end token.

        Args:
            text: The targets.
            max_tokens: Longer ones are cut there, and counted.
        """
        ids = self.tokenizer(list(text), truncation=False).input_ids
        truncated = 0 if max_tokens is None else sum(len(values) > max_tokens for values in ids)
        ids = [values[:max_tokens] for values in ids]
        labels = torch.full((len(ids), max(map(len, ids))), IGNORED)
        for row, values in enumerate(ids):
            labels[row, : len(values)] = torch.tensor(values)
        return Targets(labels, truncated)

    def decode(self, ids: torch.Tensor) -> list[str]:
        """Texts of generated token ids [texts, tokens], without special tokens."""
        return [text.strip() for text in self.tokenizer.batch_decode(ids, skip_special_tokens=True)]

    def save(self, folder: "Path") -> None:
        """Write tokenizer and image processor in the hub's layout."""
        self.tokenizer.save_pretrained(folder)
        self.image_processor.save_pretrained(folder)


def _single_id(tokenizer: "PreTrainedTokenizerBase", token: str) -> int:
    """The id of a token that must exist."""
    found = tokenizer.convert_tokens_to_ids(token)
    if not isinstance(found, int) or found == tokenizer.unk_token_id:
        raise UserError(f"the tokenizer has no token {token}", where=tokenizer.name_or_path)
    return found
