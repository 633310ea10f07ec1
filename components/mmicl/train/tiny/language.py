"""T5 on text: the instruction bank's prompts, each image's slots filled by its description.

A slot is the sum of its phrase's word embeddings, from the model's own table, made as long as one
word's, with a little noise: what the projection will hand over later is never exact.

The answer alone teaches too slowly: one word a prompt, and nothing for a lookup until all its steps
are there. So the encoder is also asked, at every slot, for what an answer is found by
(`mmicl.train.tiny.marks`). After 2.5 minutes of one core, questions about one image were answered
right in 62 % of the cases, without those questions in 44 %.

They also showed what was missing: after 2,000 steps the image of a slot was still told no better
than by chance, since T5's position biases start near zero and Adam moves them slowly. Two of the
encoder's heads therefore start as a look to the near left and the near right (`look_nearby`); the
slots then knew their image after 200 steps.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from mmicl.train.tiny.marks import Marks
from mmicl.train.tiny.packed import Group, PackedT5, group_rows
from mmicl.train.tiny.prompts import Prompt
from mmicl.train.tiny.tasks import SKILLS
from mmicl.world.description import Picture, describe

if TYPE_CHECKING:
    from transformers import Blip2ForConditionalGeneration

    from mmicl.model.processor import MmiclProcessor

NOISE = 0.3
"""Standard deviation, relative to the slots' own."""
ROWS_A_GROUP = 16
"""Prompts of like length that attention looks at together, on a processor."""
NEAR, FAR_BIAS = 8, -6.0
"""What `look_nearby` calls near, in tokens (exclusive), and the bias of all that is not."""


@dataclass(frozen=True)
class ReadingBatch:
    """Prompts as arrays, one behind the other; best sorted by length.

    Attributes:
        skills: Of the prompts, as numbers in SKILLS.
        lengths: Of the prompts, in tokens.
        ids: Their tokens, and `places` of the slots among them.
        phrases: The tokens of all that stands in their slots, phrase by phrase.
        phrase_lengths: How many belong to each slot.
        targets: Tokens of the answers, and `target_lengths` how many belong to each.
        labels: As `labels.Labeler` makes them.
    """

    skills: np.ndarray
    lengths: list[int]
    ids: np.ndarray
    places: np.ndarray
    phrases: np.ndarray
    phrase_lengths: np.ndarray
    targets: np.ndarray
    target_lengths: list[int]
    labels: dict[str, np.ndarray]


class Reader(nn.Module):
    """A model's language half, reading descriptions in the place of images."""

    def __init__(self, model: "Blip2ForConditionalGeneration", processor: "MmiclProcessor") -> None:
        super().__init__()
        self.language_model = model.language_model
        self.processor = processor
        self.packed = PackedT5(model.language_model)  # type: ignore[arg-type]
        self.marks = Marks(model.language_model.config.d_model)
        self._tokens: dict[str, list[int]] = {}

    @property
    def table(self) -> Tensor:
        """Word embeddings, [words, width]."""
        return self.language_model.get_input_embeddings().weight  # type: ignore[return-value]

    def embed(self, prompts: Sequence[Prompt]) -> dict[str, Tensor]:
        """`inputs_embeds` [prompts, tokens, width] and `attention_mask` [prompts, tokens]."""
        device = self.table.device
        batch = self.processor.pad([prompt.ids for prompt in prompts])
        ids = batch["input_ids"].to(device)
        slots = self.fill_slots([picture for prompt in prompts for picture in prompt.pictures])
        mask = (ids == self.processor.placeholder_id).unsqueeze(-1)
        return {
            "inputs_embeds": self.table[ids].masked_scatter(mask, slots),
            "attention_mask": batch["attention_mask"].to(device),
        }

    def fill_slots(self, pictures: Sequence[Picture]) -> Tensor:
        """What stands in the slots of the pictures: [pictures x queries, width]."""
        return self.embed_phrases(*self.pack_phrases(pictures))

    def pack_phrases(self, pictures: Sequence[Picture]) -> tuple[np.ndarray, np.ndarray]:
        """Tokens of what stands in the pictures' slots, one behind the other; how many in each."""
        queries = self.processor.num_query_tokens
        phrases = [
            self.list_tokens(phrase)
            for picture in pictures
            for phrase in describe(picture, queries)
        ]
        tokens = np.array([token for phrase in phrases for token in phrase])
        return tokens, np.array([len(phrase) for phrase in phrases])

    def embed_phrases(self, tokens: np.ndarray, lengths: np.ndarray) -> Tensor:
        """The sum of each phrase's word embeddings, as long as one of them: [phrases, width]."""
        device = self.table.device
        counts = torch.from_numpy(lengths).to(device)
        flat = torch.from_numpy(tokens).to(device)
        offsets = counts.cumsum(0) - counts
        sums = functional.embedding_bag(flat, self.table, offsets, mode="sum")
        return sums / counts.sqrt().unsqueeze(1)

    def collate(self, prompts: Sequence[Prompt], labels: dict[str, np.ndarray]) -> ReadingBatch:
        """What `forward` takes; needs no weights."""
        pictures = [picture for prompt in prompts for picture in prompt.pictures]
        phrases, phrase_lengths = self.pack_phrases(pictures)
        ids = np.array([token for prompt in prompts for token in prompt.ids])
        targets = self.processor.tokenizer([prompt.target for prompt in prompts]).input_ids
        return ReadingBatch(
            skills=np.array([SKILLS.index(prompt.skill) for prompt in prompts]),
            lengths=[len(prompt.ids) for prompt in prompts],
            ids=ids,
            places=np.flatnonzero(ids == self.processor.placeholder_id),
            phrases=phrases,
            phrase_lengths=phrase_lengths,
            targets=np.array([token for row in targets for token in row]),
            target_lengths=[len(row) for row in targets],
            labels=labels,
        )

    def forward(self, batch: ReadingBatch, noise: torch.Generator | None) -> tuple[Tensor, Tensor]:
        """Losses of prompts.

        Args:
            batch: The prompts.
            noise: Where the noise on the slots is drawn from, if there is to be any.

        Returns:
            The loss of each target, averaged over its tokens, [prompts]; and that of the marks.
        """
        device = self.table.device
        rows = ROWS_A_GROUP if device.type == "cpu" else len(batch.lengths)
        groups = group_rows(batch.lengths, rows, device)
        ids = torch.from_numpy(batch.ids).to(device)
        slots = self.embed_phrases(batch.phrases, batch.phrase_lengths)
        if noise is not None:
            drawn = torch.randn(slots.shape, generator=noise).to(device)
            slots = slots + NOISE * slots.detach().std() * drawn
        places = torch.from_numpy(batch.places).to(device)
        inputs = self.table[ids].index_copy(0, places, slots)
        states, layers = self.packed.encode(inputs, groups)
        labels = {name: torch.from_numpy(rows).to(device) for name, rows in batch.labels.items()}
        losses = self._answer_losses(batch, states, groups)
        return losses, self.marks(layers, states, places, labels)

    def _answer_losses(
        self, batch: ReadingBatch, states: Tensor, groups: Sequence[Group]
    ) -> Tensor:
        """Mean loss over the tokens of each target, [prompts]."""
        device = self.table.device
        lengths = torch.tensor(batch.target_lengths)
        targets = group_rows(batch.target_lengths, groups[0].index.shape[0], device)
        wanted = torch.from_numpy(batch.targets)
        given = wanted.roll(1)
        given[lengths.cumsum(0) - lengths] = self.language_model.config.decoder_start_token_id
        wanted, given = wanted.to(device), given.to(device)
        logits = self.packed.decode(self.table[given], targets, states, groups)
        losses = functional.cross_entropy(logits, wanted, reduction="none")
        owners = torch.arange(len(lengths)).repeat_interleave(lengths).to(device)
        sums = losses.new_zeros(len(lengths)).index_add(0, owners, losses)
        return sums / lengths.to(device)

    def list_tokens(self, text: str) -> list[int]:
        """Token ids of a phrase or an answer, kept for the next time."""
        if text not in self._tokens:
            ids = self.processor.tokenizer(text, add_special_tokens=False).input_ids
            self._tokens[text] = list(ids)
        return self._tokens[text]

    @torch.inference_mode()
    def answer(self, prompts: Sequence[Prompt]) -> list[str]:
        """Greedy answers."""
        ids = self.language_model.generate(**self.embed(prompts), max_new_tokens=24)
        return self.processor.decode(ids)


def look_nearby(model: "Blip2ForConditionalGeneration") -> None:
    """Let two encoder heads start as a look to the near left and to the near right.

    T5's buckets 1 to 7 stand for so many tokens to the left, those behind the first half for the
    right; one bias serves all layers.
    """
    table = model.language_model.encoder.block[0].layer[0].SelfAttention.relative_attention_bias  # type: ignore[union-attr]
    half = table.num_embeddings // 2
    with torch.no_grad():
        table.weight[:, :2] = FAR_BIAS
        table.weight[1:NEAR, 0] = 0.0
        table.weight[half + 1 : half + NEAR, 1] = 0.0
