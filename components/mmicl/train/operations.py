"""Floating-point operations of a training step, counted by hand from shapes and what learns.

A matrix product of [m, k] and [k, n] is 2 m k n operations. On the way back a product costs as much
for each of its two sides that takes a gradient: a frozen weight takes none, nor does what comes
before the first trained parameter. Products alone are counted (norms, activations and softmax are
below a hundredth), and each once: what is computed again to save memory is not work done.
"""

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

from torch import nn

if TYPE_CHECKING:
    from collections.abc import Iterable

    from transformers import Blip2ForConditionalGeneration

    from mmicl.train.batches import MicroBatch


@dataclass(frozen=True)
class Operations:
    """Of the way there and of the way back."""

    forward: int
    backward: int

    @property
    def total(self) -> int:
        """Both."""
        return self.forward + self.backward


def count_step(
    model: "Blip2ForConditionalGeneration", batches: "Iterable[MicroBatch]"
) -> Operations:
    """Operations of micro-batches as they are computed, padding included."""
    counts = [
        count_pass(
            model,
            rows=len(batch.input_ids),
            tokens=batch.input_ids.shape[1],
            targets=batch.labels.shape[1],
            images=len(batch.slots),
            encoded=len(batch.visual) if batch.visual.ndim > 3 else 0,
        )
        for batch in batches
    ]
    return Operations(sum(one.forward for one in counts), sum(one.backward for one in counts))


def count_pass(
    model: "Blip2ForConditionalGeneration",
    *,
    rows: int,
    tokens: int,
    targets: int,
    images: int,
    encoded: int,
) -> Operations:
    """Operations of one pass there and back.

    Args:
        model: With `requires_grad` set as it is trained.
        rows: Prompts.
        tokens: Of each prompt, padding and placeholders included.
        targets: Tokens of each target, padding included.
        images: Of all rows together.
        encoded: Pictures among them that go through encoder, Q-Former and projection once each; of
            none, the projection takes every image's features.
    """
    parts: Any = model
    count = _Counter()
    queries = parts.config.num_query_tokens
    flows = False
    if encoded:
        seen = _count_vision(count, parts.vision_model, encoded)
        learns = parts.query_tokens.requires_grad
        flows = _count_qformer(count, parts.qformer, encoded, queries, seen, learns)
    # Of no images as well: a gradient of nothing goes to it all the way back (`embed_prompts`).
    flows = count.linear(parts.language_projection, (encoded or images) * queries, flows)
    language = parts.language_model
    flows = _count_stack(count, language.encoder, rows, tokens, flows)
    flows = _count_stack(count, language.decoder, rows, targets, False, (tokens, flows))
    count.linear(language.lm_head, rows * targets, flows)
    return Operations(count.forward, count.backward)


class _Counter:
    """Adds up; every method says whether a gradient flows back through what it counted."""

    def __init__(self) -> None:
        self.forward = self.backward = 0

    def linear(self, layer: nn.Module, rows: int, flows: bool) -> bool:
        """A layer over rows of input through which a gradient flows back, or does not."""
        adapters = getattr(layer, "lora_A", {})
        own: Any = layer.base_layer if adapters else layer
        learns = own.weight.requires_grad
        size = 2 * rows * own.in_features * own.out_features
        self.forward += size
        self.backward += size * (flows + learns)
        for name, down in adapters.items():
            inner = self.linear(down, rows, flows)
            learns |= self.linear(layer.lora_B[name], rows, inner)  # type: ignore[index]
        return flows or learns or (own.bias is not None and own.bias.requires_grad)

    def attention(
        self, heads: int, shape: tuple[int, int, int, int], q: bool, k: bool, v: bool
    ) -> bool:
        """Scores and their sums, of `shape` (rows, queries, keys, width of a head)."""
        rows, queries, keys, width = shape
        size = 2 * rows * heads * queries * keys * width
        self.forward += 2 * size
        # of the values, of the weights, of the queries, of the keys
        self.backward += size * (v + (q or k) + q + k)
        return q or k or v


def _count_stack(
    count: _Counter,
    stack: Any,
    rows: int,
    tokens: int,
    flows: bool,
    encoded: tuple[int, bool] | None = None,
) -> bool:
    """T5's encoder, or its decoder over `encoded`: tokens, and whether they take a gradient."""
    for block in stack.block:
        own = (tokens, flows)
        flows |= _count_t5(count, block.layer[0].SelfAttention, rows, own, own)
        if encoded is not None:
            cross = block.layer[1].EncDecAttention
            flows |= _count_t5(count, cross, rows, (tokens, flows), encoded)
        dense = block.layer[-1].DenseReluDense
        gates = (dense.wi_0, dense.wi_1) if hasattr(dense, "wi_0") else (dense.wi,)
        inner = [count.linear(gate, rows * tokens, flows) for gate in gates]
        flows |= count.linear(dense.wo, rows * tokens, any(inner))
    return flows


def _count_t5(
    count: _Counter, layer: Any, rows: int, asking: tuple[int, bool], asked: tuple[int, bool]
) -> bool:
    """One of T5's attentions; tokens on either side, and whether they take a gradient."""
    parts, width = (layer.q, layer.k, layer.v, layer.o), layer.key_value_proj_dim
    return _count_attention(count, parts, (layer.n_heads, width), rows, asking, asked)


def _count_attention(
    count: _Counter,
    parts: tuple[nn.Module, nn.Module, nn.Module, nn.Module],
    heads: tuple[int, int],
    rows: int,
    asking: tuple[int, bool],
    asked: tuple[int, bool],
) -> bool:
    """Layers of queries, keys, values and output, and what lies between: `heads` of a width."""
    of_queries, of_keys, of_values, of_output = parts
    q = count.linear(of_queries, rows * asking[0], asking[1])
    k, v = (count.linear(part, rows * asked[0], asked[1]) for part in (of_keys, of_values))
    number, width = heads
    inner = count.attention(number, (rows, asking[0], asked[0], width), q, k, v)
    return count.linear(of_output, rows * asking[0], inner)


def _count_vision(count: _Counter, vision: Any, images: int) -> tuple[int, bool]:
    """The image encoder, whose patches are products too: its tokens, whether a gradient flows."""
    patch = vision.embeddings.patch_embedding
    places = (vision.config.image_size // vision.config.patch_size) ** 2
    flows = patch.weight.requires_grad
    size = 2 * images * places * patch.out_channels * patch.in_channels * prod(patch.kernel_size)
    count.forward += size
    count.backward += size * flows
    tokens = places + 1  # and the class token
    for layer in vision.encoder.layers:
        own = layer.self_attn
        inner = count.linear(own.qkv, images * tokens, flows)
        shape = (images, tokens, tokens, own.head_dim)
        inner = count.attention(own.num_heads, shape, inner, inner, inner)
        flows |= count.linear(own.projection, images * tokens, inner)
        inner = count.linear(layer.mlp.fc1, images * tokens, flows)
        flows |= count.linear(layer.mlp.fc2, images * tokens, inner)
    return tokens, flows


def _count_qformer(
    count: _Counter, qformer: Any, images: int, queries: int, seen: tuple[int, bool], flows: bool
) -> bool:
    """The Q-Former over what the encoder has `seen`: tokens, and whether they take a gradient."""
    for layer in qformer.encoder.layer:
        flows |= _count_bert(count, layer.attention, images, (queries, flows), (queries, flows))
        if layer.has_cross_attention:
            flows |= _count_bert(count, layer.crossattention, images, (queries, flows), seen)
        inner = count.linear(layer.intermediate_query.dense, images * queries, flows)
        flows |= count.linear(layer.output_query.dense, images * queries, inner)
    return flows


def _count_bert(
    count: _Counter, layer: Any, images: int, asking: tuple[int, bool], asked: tuple[int, bool]
) -> bool:
    """One of the Q-Former's attentions; tokens on either side, and whether they take a gradient."""
    own = layer.attention
    parts = (own.query, own.key, own.value, layer.output.dense)
    heads = (own.num_attention_heads, own.attention_head_size)
    return _count_attention(count, parts, heads, images, asking, asked)
