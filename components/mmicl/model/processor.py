"""Prompts with any number of images -> the tensors that BLIP-2 takes.

A prompt holds one placeholder per image; the model wants as many as its Q-Former has queries. The
images of a whole batch lie in one tensor, in the order of their placeholders.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from mmicl.errors import DataError, UserError
from mmicl.files import read_json, write_json
from mmicl.model.views import View
from mmicl.records import MAX_PROXIES, PLACEHOLDER, proxy

if TYPE_CHECKING:
    from PIL.Image import Image
    from transformers import BatchFeature, PreTrainedTokenizerBase
    from transformers.image_processing_backends import PilBackend

IGNORED = -100
"""Label of padding: no loss."""
_HUB_IMAGE = "<image>"
_RECORD = "processor_config.json"
_QUERIES, _TAGS, _INSTRUCT = "num_query_tokens", "image_tags", "instruct_qformer"
_INSTRUCT_FOLDER = "qformer_tokenizer"
"""Where InstructBLIP's checkpoints have the tokenizer of their Q-Former."""
_SPECIAL = re.compile("|".join(map(re.escape, (PLACEHOLDER, *map(proxy, range(MAX_PROXIES))))))


@dataclass(frozen=True)
class Targets:
    """Token ids of target texts, padded.

    `labels` is [texts, tokens] with IGNORED behind each text's end; `truncated` counts the texts
    that were longer than allowed (they carry no end token: the model does not learn to stop there).
    """

    labels: torch.Tensor
    truncated: int


class MmiclProcessor:
    """Tokenizer and image processor of one model, for prompts with interleaved images.

    `image_tags` tells whether the model was trained with tags around each image's tokens,
    `instruct_tokenizer` is there where its Q-Former reads the instruction.
    """

    def __init__(
        self,
        tokenizer: "PreTrainedTokenizerBase",
        image_processor: "PilBackend",
        num_query_tokens: int,
        *,
        image_tags: bool = False,
        instruct_tokenizer: "PreTrainedTokenizerBase | None" = None,
    ) -> None:
        self.tokenizer = tokenizer
        self.image_processor = image_processor
        self.num_query_tokens, self.image_tags = num_query_tokens, image_tags
        self.instruct_tokenizer = instruct_tokenizer
        self.pad_id = _single_id(tokenizer, str(tokenizer.pad_token))
        self.placeholder_id = _single_id(tokenizer, PLACEHOLDER)

    @property
    def proxy_ids(self) -> list[int]:
        """Ids of `<image0>` to `<image19>`.

        Raises:
            UserError: The tokenizer lacks one.
        """
        return [_single_id(self.tokenizer, proxy(index)) for index in range(MAX_PROXIES)]

    @classmethod
    def from_pretrained(
        cls, place: str | Path, *, revision: str | None = None, instruct: bool | None = None
    ) -> "MmiclProcessor":
        """The processor of a model or of what `save_pretrained` wrote.

        MMICL's tokens are added where the tokenizer lacks them.

        Args:
            place: A folder in the hub's layout, or a hub id.
            revision: Commit of a hub id.
            instruct: Whether the Q-Former reads the instruction; None as `reads_instructions`.

        Raises:
            OSError, ValueError: As transformers' own, for files that are missing or damaged.
        """
        from transformers import AutoTokenizer
        from transformers.models.blip.image_processing_pil_blip import BlipImageProcessorPil

        place = str(place)
        options: dict[str, Any] = {
            "revision": revision,
            "local_files_only": Path(place).is_dir(),
        }
        tokenizer = AutoTokenizer.from_pretrained(place, trust_remote_code=False, **options)
        images = BlipImageProcessorPil.from_pretrained(place, **options)
        record = _read_record(place)
        return cls(
            add_mmicl_tokens(tokenizer),
            images,
            record.get(_QUERIES) or _read_queries(place, options),
            image_tags=record.get(_TAGS, False),
            instruct_tokenizer=_load_instruct_tokenizer(place, options)
            if (reads_instructions(place) if instruct is None else instruct)
            else None,
        )

    def save_pretrained(self, folder: str | Path) -> None:
        """Write tokenizer, image processor and the number of queries in the hub's layout."""
        folder = Path(folder)
        self.tokenizer.save_pretrained(folder)
        self.image_processor.save_pretrained(folder)
        # No processor_class: transformers' own Blip2Processor takes one image a prompt.
        told: dict[str, Any] = {_QUERIES: self.num_query_tokens, _TAGS: self.image_tags}
        if self.instruct_tokenizer is not None:
            self.instruct_tokenizer.save_pretrained(folder / _INSTRUCT_FOLDER)
            told[_INSTRUCT] = True
        write_json(folder / _RECORD, told)

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
            width] (left out where no prompt has an image), and what `encode_instructions` gives.

        Raises:
            DataError: A prompt has another number of placeholders than images, or an image that
                cannot be used; names it.
            UserError: The arguments are not lists of the same length, or empty.
        """
        from transformers import BatchFeature

        if return_tensors != "pt":
            raise UserError(f"return_tensors={return_tensors!r} is not offered", remedy="use pt")
        _check_rows(images, text)
        ids = self.encode(text, [len(row) for row in images], names)
        flat = [image for row in images for image in row]
        batch = self.pad(ids)
        if flat:
            owners = [name for name, row in zip(names or text, images, strict=True) for _ in row]
            batch["pixel_values"] = self._name_pixels(flat, owners)
            shown = zip(text, images, strict=True)
            views = [view for prompt, row in shown for view in self.views(prompt, [""] * len(row))]
            batch |= self.encode_instructions(views)
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

    def count(self, prompt: str) -> int:
        """Tokens of a prompt as the model sees it, its end and its images' queries included."""
        return len(self.encode([prompt], [prompt.count(PLACEHOLDER)])[0])

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

    def _name_pixels(self, images: "Sequence[Image]", owners: Sequence[str]) -> torch.Tensor:
        """As `pixels`, but what transformers refuses is said of the prompt that it belongs to."""
        try:
            return self.pixels(images)
        except Exception as error:
            for image, owner in zip(images, owners, strict=True):
                try:
                    self.pixels([image])
                except Exception as alone:
                    raise DataError(f"an image cannot be used ({alone})", where=owner) from None
            raise DataError(f"the images cannot be used ({error})") from None

    def views(self, prompt: str, images: Sequence[str]) -> list[View]:
        """A prompt's images as the Q-Former is to meet them.

        What it reads is the prompt without placeholders and proxies, which are the language
        model's (the released code decodes the prompt without special tokens).
        """
        if self.instruct_tokenizer is None:
            return [View(image) for image in images]
        instruction = " ".join(_SPECIAL.sub(" ", prompt).split())
        return [View(image, instruction) for image in images]

    def encode_instructions(self, views: Sequence[View]) -> dict[str, torch.Tensor]:
        """What the Q-Former reads beside each image; empty where it reads nothing.

        Of an instruction that is too long the end is kept, where the question is.

        Returns:
            `qformer_input_ids` and `qformer_attention_mask`, [views, tokens].
        """
        if self.instruct_tokenizer is None:
            return {}
        told = self.instruct_tokenizer(
            [view.instruction for view in views],
            padding=True, truncation=True, return_tensors="pt",
        )  # fmt: skip
        return {
            "qformer_input_ids": torch.as_tensor(told["input_ids"]),
            "qformer_attention_mask": torch.as_tensor(told["attention_mask"]),
        }

    def describe_reading(self) -> dict[str, Any]:
        """What makes token ids of an instruction; empty where the Q-Former reads none."""
        tokenizer: Any = self.instruct_tokenizer
        if tokenizer is None:
            return {}
        told = json.loads(tokenizer.backend_tokenizer.to_str())
        # How the last call padded and cut, which says nothing of the next.
        kept = {name: it for name, it in told.items() if name not in ("padding", "truncation")}
        return {**kept, "max_tokens": tokenizer.model_max_length}

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


def reads_instructions(place: str | Path) -> bool:
    """Whether a model that `save_pretrained` wrote has a Q-Former that reads the instruction."""
    return bool(_read_record(str(place)).get(_INSTRUCT, False))


def _load_instruct_tokenizer(place: str, options: dict[str, Any]) -> "PreTrainedTokenizerBase":
    """The Q-Former's tokenizer, which cuts from the left what its positions do not hold."""
    from transformers import AutoConfig, AutoTokenizer

    options = {"trust_remote_code": False, **options}
    shape = AutoConfig.from_pretrained(place, **options).qformer_config
    return AutoTokenizer.from_pretrained(
        place, subfolder=_INSTRUCT_FOLDER, truncation_side="left",
        model_max_length=shape.max_position_embeddings, **options,
    )  # fmt: skip


def add_mmicl_tokens(tokenizer: "PreTrainedTokenizerBase") -> "PreTrainedTokenizerBase":
    """Give a tokenizer the placeholder and the proxies, where it lacks them.

    The hub's `<image>` makes room, so that FLAN-T5 gets the released checkpoints' ids: 32100 for
    the placeholder, 32101 to 32120 for the proxies (rows of the embedding table that T5 pads).
    """
    wanted = [PLACEHOLDER, *(proxy(index) for index in range(MAX_PROXIES))]
    if all(token in tokenizer.get_vocab() for token in wanted):
        return tokenizer
    from tokenizers import Tokenizer

    state = json.loads(tokenizer.backend_tokenizer.to_str())  # type: ignore[attr-defined]
    state["added_tokens"] = [
        token for token in state["added_tokens"] if token["content"] != _HUB_IMAGE
    ]
    tokenizer._tokenizer = Tokenizer.from_str(json.dumps(state))  # type: ignore[attr-defined]
    tokenizer.add_special_tokens({"additional_special_tokens": wanted})
    return tokenizer


def _read_record(place: str) -> dict[str, Any]:
    """What `save_pretrained` wrote of us; the hub's own has other entries."""
    record = Path(place) / _RECORD
    return read_json(record) if record.is_file() else {}


def _read_queries(place: str, options: dict[str, Any]) -> int:
    """Placeholder tokens that an image takes by the model's configuration."""
    from transformers import AutoConfig

    return AutoConfig.from_pretrained(place, trust_remote_code=False, **options).num_query_tokens


def _check_rows(images: Sequence[Any], text: Sequence[str]) -> None:
    """See that prompts are a list, with one list of images each."""
    if isinstance(text, str) or any(not isinstance(row, (list, tuple)) for row in images):
        raise UserError(
            "prompts come as a list, with one list of images for each",
            remedy="processor(images=[[first, second]], text=[prompt])",
        )
    if not text:
        raise UserError("no prompts")
    if len(images) != len(text):
        raise UserError(f"{len(images)} lists of images for {len(text)} prompts")


def _single_id(tokenizer: "PreTrainedTokenizerBase", token: str) -> int:
    """The id of a token that must exist."""
    found = tokenizer.convert_tokens_to_ids(token)
    if not isinstance(found, int) or found == tokenizer.unk_token_id:
        raise UserError(f"the tokenizer has no token {token}", where=tokenizer.name_or_path)
    return found
