"""T5's attention by torch's fused kernel, its bias and mask put together once a pass.

transformers adds the relative position bias to the mask in every layer, and keeps each of these
[rows, heads, queries, keys] tensors for the way back: in 24 layers, more memory than all the rest.
T5's layers hand the bias on from the first to the last; here the first puts bias and mask together,
and what it hands on is the sum. FlexAttention would need neither, but knows no dropout on the
attention's weights, which FLAN-T5 trains with.
"""

from typing import Any

import torch
from torch import nn
from torch.nn import functional
from transformers.models.t5.modeling_t5 import T5Attention, T5Stack

ALIGNMENT = 8
"""Elements that rows of a bias begin at multiples of: torch's kernel copies any other bias, anew in
every layer and both ways."""


class SharedBiasAttention(T5Attention):
    """T5's attention, over the same weights; for passes without a cache of keys and values."""

    def forward(
        self,
        hidden_states: torch.Tensor,
        mask: torch.Tensor | None = None,
        key_value_states: torch.Tensor | None = None,
        position_bias: torch.Tensor | None = None,
        past_key_values: Any = None,
        **kwargs: Any,
    ) -> tuple[torch.Tensor, torch.Tensor | None, torch.Tensor | None]:
        """Attend, as T5Attention does.

        Args:
            hidden_states: [rows, queries, width]
            mask: What may be attended to (boolean), what is added to the scores, or None.
            key_value_states: [rows, keys, width], of the encoder, in cross-attention.
            position_bias: What the layer before gave.
            past_key_values: While an answer is generated; transformers' own attention then runs.
            kwargs: Of transformers; not used.

        Returns:
            States [rows, queries, width], what to give to the next layer, and no weights.
        """
        if past_key_values is not None:
            return super().forward(
                hidden_states, mask, key_value_states, position_bias, past_key_values, **kwargs
            )
        source = hidden_states if key_value_states is None else key_value_states
        queries = self._split(self.q(hidden_states))
        keys, values = self._split(self.k(source)), self._split(self.v(source))
        if position_bias is None:
            position_bias = self._make_bias(mask, queries, keys)
        output = functional.scaled_dot_product_attention(
            queries,
            keys,
            values,
            attn_mask=position_bias,
            dropout_p=self.dropout if self.training else 0.0,
            scale=self.scaling,
        )
        output = output.transpose(1, 2).reshape(*hidden_states.shape[:-1], self.inner_dim)
        return self.o(output), position_bias, None

    def _split(self, states: torch.Tensor) -> torch.Tensor:
        """Heads apart: [rows, heads, tokens, width of a head]."""
        rows, tokens, _ = states.shape
        return states.view(rows, tokens, self.n_heads, self.key_value_proj_dim).transpose(1, 2)

    def _make_bias(
        self, mask: torch.Tensor | None, queries: torch.Tensor, keys: torch.Tensor
    ) -> torch.Tensor | None:
        """What is added to the scores, [rows or 1, heads or 1, queries, keys]; None for nothing."""
        shape = (queries.shape[2], keys.shape[2])
        if mask is None and self.is_causal:
            mask = torch.ones(shape, dtype=torch.bool, device=queries.device).tril()[None, None]
        if self.has_relative_attention_bias:
            bias = self.compute_bias(*shape, device=queries.device)
        elif mask is None:
            return None
        else:
            bias = queries.new_zeros(1, 1, *shape)
        if mask is not None and mask.dtype == torch.bool:
            bias = torch.where(mask, bias, torch.finfo(bias.dtype).min)
        elif mask is not None:
            bias = bias + mask
        return functional.pad(bias.contiguous(), (0, -shape[1] % ALIGNMENT))[..., : shape[1]]


class SharedBiasStack(T5Stack):
    """T5's encoder or decoder, whose masks are made without being looked at.

    transformers asks whether a mask hides anything, for which the GPU has to end all that it was
    given: in the decoder the whole encoder, and the decoder's small operators then find it idle.
    """

    def forward(
        self,
        *arguments: Any,
        attention_mask: torch.Tensor | None = None,
        encoder_attention_mask: torch.Tensor | None = None,
        past_key_values: Any = None,
        **kwargs: Any,
    ) -> Any:
        """As T5Stack's; masks [rows, tokens], 0 for what is hidden, or None for nothing."""
        if past_key_values is None:
            encoder_attention_mask = _prepare(encoder_attention_mask)
            attention_mask = attention_mask if self.is_decoder else _prepare(attention_mask)
        return super().forward(
            *arguments,
            attention_mask=attention_mask,
            encoder_attention_mask=encoder_attention_mask,
            past_key_values=past_key_values,
            **kwargs,
        )


def _prepare(mask: torch.Tensor | None) -> torch.Tensor | None:
    """What may be attended to, [rows, 1, 1, keys]: transformers takes such a mask as it is."""
    return mask if mask is None else mask[:, None, None].bool()


def share_bias(model: nn.Module) -> None:
    """Let all of T5's attentions in a model share bias and mask; names and weights stay.

    The decoder then makes a cache of keys and values where it is asked to, as generating does; by
    default it makes one in every pass, of a single use in training.
    """
    for module in model.modules():
        if type(module) is T5Attention:
            module.__class__ = SharedBiasAttention
        elif type(module) is T5Stack:
            module.__class__ = SharedBiasStack
            module.config.use_cache = False  # of this stack's own copy: no checkpoint says so
