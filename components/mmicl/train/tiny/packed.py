"""T5 on packed tokens: the same losses as transformers' T5, in half the time on a processor.

The prompts of a batch lie one behind the other without padding; only attention looks at them in
groups of like length. So the matrices of all other layers are large, and few: small ones cost more
in calls than in arithmetic. A test holds the logits to those of transformers.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional

if TYPE_CHECKING:
    from transformers import T5ForConditionalGeneration

FORBIDDEN = -1e9
"""Added to the scores of what must not be attended to."""
LONGEST = 1024
EPSILON = 1e-6
"""Of T5's norms."""


@dataclass(frozen=True)
class Group:
    """Neighbouring rows of a packed tensor, as a padded rectangle.

    Attributes:
        index: Place of each cell in the packed tensor, [rows, longest]; 0 for padding.
        real: Which cells are no padding, [rows, longest].
        kept: Numbers of the real cells, counted row by row.
    """

    index: Tensor
    real: Tensor
    kept: Tensor

    def pad(self, packed: Tensor) -> Tensor:
        """[tokens, width] -> [rows, longest, width]."""
        return packed[self.index.flatten()].view(*self.index.shape, -1)

    def pack(self, padded: Tensor) -> Tensor:
        """[rows, longest, width] -> [tokens of the group, width]."""
        return padded.flatten(0, 1)[self.kept]


def group_rows(
    lengths: Sequence[int], rows_a_group: int, device: torch.device | str = "cpu"
) -> list[Group]:
    """Cut rows of the given lengths, packed in this order, into groups."""
    groups = []
    counts = torch.tensor(lengths)
    starts = counts.cumsum(0) - counts
    for first, own in zip(starts.split(rows_a_group), counts.split(rows_a_group), strict=True):
        cells = torch.arange(int(own.max()))
        real = cells < own.unsqueeze(1)
        index = (first.unsqueeze(1) + cells) * real
        kept = real.flatten().nonzero().flatten()
        groups.append(Group(*(part.to(device) for part in (index, real, kept))))
    return groups


class PackedT5:
    """The forward pass of a T5 without dropout, over the weights of transformers' model."""

    def __init__(self, model: "T5ForConditionalGeneration") -> None:
        self.model = model
        self.heads = model.config.num_heads
        self.encoder: list[Any] = [block.layer for block in model.encoder.block]  # type: ignore[union-attr]
        self.decoder: list[Any] = [block.layer for block in model.decoder.block]  # type: ignore[union-attr]
        self._buckets = [
            _list_buckets(layers[0][0].SelfAttention, bidirectional)
            for layers, bidirectional in ((self.encoder, True), (self.decoder, False))
        ]

    def encode(self, embedded: Tensor, groups: Sequence[Group]) -> tuple[Tensor, list[Tensor]]:
        """Encoder states [tokens, width] of packed embeddings [tokens, width].

        Returns:
            Those of the whole encoder, and what each of its layers gives.
        """
        longest = max(group.index.shape[1] for group in groups)
        positions = self._bias(0, self.encoder, longest)
        biases = [_cut(positions, group) + _forbid_padding(group) for group in groups]
        states, layers = embedded, []
        for attention, feed_forward in self.encoder:
            states = self._attend_self(states, attention, groups, biases)
            states = _feed_forward(states, feed_forward)
            layers.append(states)
        return _norm(states, self.model.encoder.final_layer_norm), layers

    def decode(
        self, embedded: Tensor, targets: Sequence[Group], states: Tensor, prompts: Sequence[Group]
    ) -> Tensor:
        """Logits [target tokens, words] of packed decoder inputs [target tokens, width].

        Args:
            embedded: The decoder's inputs.
            targets: Their groups, as many as of the prompts, with as many rows.
            states: What `encode` gave.
            prompts: Its groups.
        """
        longest = max(group.index.shape[1] for group in targets)
        causal = torch.full((longest, longest), FORBIDDEN, device=embedded.device).triu(1)
        positions = self._bias(1, self.decoder, longest) + causal
        own = [_cut(positions, group) for group in targets]
        across = [_forbid_padding(group) for group in prompts]
        weights = [
            linear.weight
            for _, cross, _ in self.decoder
            for linear in (cross.EncDecAttention.k, cross.EncDecAttention.v)
        ]
        known = states @ torch.cat(weights).T
        read = [group.pad(known).chunk(len(weights), -1) for group in prompts]
        hidden = embedded
        for number, (attention, cross, feed_forward) in enumerate(self.decoder):
            hidden = self._attend_self(hidden, attention, targets, own)
            asked = _norm(hidden, cross.layer_norm) @ cross.EncDecAttention.q.weight.T
            found = []
            for group, parts, bias in zip(targets, read, across, strict=True):
                key, value = parts[2 * number], parts[2 * number + 1]
                found.append(group.pack(self._mix(group.pad(asked), key, value, bias)))
            hidden = hidden + torch.cat(found) @ cross.EncDecAttention.o.weight.T
            hidden = _feed_forward(hidden, feed_forward)
        hidden = _norm(hidden, self.model.decoder.final_layer_norm)
        if self.model.config.scale_decoder_outputs:  # type: ignore[attr-defined]
            hidden = hidden * hidden.shape[-1] ** -0.5
        return hidden @ self.model.lm_head.weight.T

    def _bias(self, side: int, layers: list[Any], longest: int) -> Tensor:
        """Position bias [heads, longest, longest]; the first layer's serves all."""
        table = layers[0][0].SelfAttention.relative_attention_bias.weight
        self._buckets[side] = self._buckets[side].to(table.device)
        return table[self._buckets[side][:longest, :longest]].permute(2, 0, 1)

    def _attend_self(
        self, states: Tensor, layer: Any, groups: Sequence[Group], biases: Sequence[Tensor]
    ) -> Tensor:
        inner = layer.SelfAttention
        weights = torch.cat([inner.q.weight, inner.k.weight, inner.v.weight])
        mixed = _norm(states, layer.layer_norm) @ weights.T
        found = []
        for group, bias in zip(groups, biases, strict=True):
            query, key, value = group.pad(mixed).chunk(3, -1)
            found.append(group.pack(self._mix(query, key, value, bias)))
        return states + torch.cat(found) @ inner.o.weight.T

    def _mix(self, query: Tensor, key: Tensor, value: Tensor, bias: Tensor) -> Tensor:
        """Attention of [rows, queries, width] over [rows, keys, width]; T5 scales no scores."""
        query, key, value = (
            part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in (query, key, value)
        )
        shares = (query @ key.transpose(2, 3) + bias).softmax(-1)
        return (shares @ value).transpose(1, 2).flatten(2)


def _list_buckets(attention: Any, bidirectional: bool) -> Tensor:
    """The bucket of every pair of positions, [LONGEST, LONGEST]."""
    places = torch.arange(LONGEST)
    return attention._relative_position_bucket(
        places[None] - places[:, None],
        bidirectional,
        attention.relative_attention_num_buckets,
        attention.relative_attention_max_distance,
    )


def _cut(positions: Tensor, group: Group) -> Tensor:
    longest = group.index.shape[1]
    return positions[None, :, :longest, :longest]


def _forbid_padding(group: Group) -> Tensor:
    """[rows, 1, 1, longest] of zeros, FORBIDDEN at padding."""
    zeros = torch.zeros(group.real.shape, device=group.real.device)
    return zeros.masked_fill(~group.real, FORBIDDEN)[:, None, None, :]


def _norm(states: Tensor, layer: Any) -> Tensor:
    return functional.rms_norm(states, states.shape[-1:], layer.weight, EPSILON)


def _feed_forward(states: Tensor, layer: Any) -> Tensor:
    """The gated layer of T5 1.1."""
    inner = layer.DenseReluDense
    both = _norm(states, layer.layer_norm) @ torch.cat([inner.wi_0.weight, inner.wi_1.weight]).T
    gate, value = both.chunk(2, -1)
    return states + (functional.gelu(gate, approximate="tanh") * value) @ inner.wo.weight.T
