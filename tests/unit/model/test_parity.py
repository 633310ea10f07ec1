"""Batches against the straightforward way: each sample alone through transformers' own forward."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_model import Tiny

from mmicl.model.features import encode_images
from mmicl.model.inference import embed_prompts, project_features
from mmicl.model.processor import IGNORED
from mmicl.train.batches import MicroBatch
from mmicl.train.engine import LossModel

WORDS = ("red", "a", "circle", "left", "of", "which", "image", "shows")
PICTURES = 8


@dataclass(frozen=True)
class Row:
    """One sample: pictures by number, text with their placeholders, target."""

    pictures: tuple[int, ...]
    prompt: str
    target: str


@st.composite
def rows(draw: st.DrawFn) -> Row:
    """Up to eight images, declared or strewn into words; a picture may come twice."""
    pictures = draw(st.lists(st.integers(0, PICTURES - 1), max_size=8))
    words: list[str] = draw(st.lists(st.sampled_from(WORDS), min_size=1, max_size=12))
    for number in range(len(pictures)):
        place = draw(st.integers(0, len(words)))
        words.insert(place, draw(st.sampled_from([f"<image{number}>图", "图"])))
    target = draw(st.lists(st.sampled_from(WORDS), min_size=1, max_size=5))
    return Row(tuple(pictures), " ".join(words), " ".join(target))


@pytest.fixture(scope="module")
def pixels() -> torch.Tensor:
    return torch.randn(PICTURES, 3, 64, 64, generator=torch.Generator().manual_seed(0))


def run_alone(tiny: Tiny, pixels: torch.Tensor, row: Row) -> Any:
    """Transformers' own forward of one sample, expanded and tokenized here by hand."""
    model, processor = tiny
    text = row.prompt.replace("图", "图" * model.config.num_query_tokens)
    tokens = processor.tokenizer(text, return_tensors="pt")
    labels = processor.tokenizer(row.target, return_tensors="pt").input_ids
    if not row.pictures:
        return model.language_model(**tokens, labels=labels)
    return model(**tokens, pixel_values=pixels[list(row.pictures)], labels=labels)


def make_batch(tiny: Tiny, visual: torch.Tensor, batch: Sequence[Row]) -> MicroBatch:
    """What training makes of samples; `visual` holds pixels or features of all pictures."""
    _, processor = tiny
    ids = processor.encode([row.prompt for row in batch], [len(row.pictures) for row in batch])
    padded = processor.pad(ids)
    return MicroBatch(
        input_ids=padded["input_ids"],
        attention_mask=padded["attention_mask"],
        labels=processor.encode_targets([row.target for row in batch]).labels,
        visual=visual,
        slots=torch.tensor([number for row in batch for number in row.pictures], dtype=torch.long),
        names=tuple(map(str, range(len(batch)))),
    )


@settings(max_examples=12)
@given(batch=st.lists(rows(), min_size=1, max_size=4).filter(lambda b: any(r.pictures for r in b)))
def test_any_batch_is_its_samples_one_by_one(
    shared_tiny: Tiny, pixels: torch.Tensor, batch: list[Row]
) -> None:
    with torch.no_grad():
        model, _ = shared_tiny
        alone = [run_alone(shared_tiny, pixels, row) for row in batch]
        features = encode_images(model, pixels)
        cached = make_batch(shared_tiny, features, batch)
        projected = project_features(model, cached.visual[cached.slots])
        merged = embed_prompts(model, cached.input_ids, projected)
        check_merge(shared_tiny, merged, cached, features, batch)
        logits = model.language_model(
            inputs_embeds=merged, attention_mask=cached.attention_mask, labels=cached.labels
        ).logits
        for row, one in enumerate(alone):
            length = one.logits.shape[1]
            torch.testing.assert_close(logits[row, :length], one.logits[0], atol=1e-4, rtol=1e-5)
            assert (cached.labels[row, length:] == IGNORED).all()
        counts = torch.tensor([one.logits.shape[1] for one in alone])
        expected = torch.stack([one.loss for one in alone]) * counts
        for visual in (features, pixels):
            losses = LossModel(model)(make_batch(shared_tiny, visual, batch))
            torch.testing.assert_close(losses / counts, expected / counts, atol=1e-5, rtol=1e-5)


def check_merge(
    tiny: Tiny, merged: torch.Tensor, cached: MicroBatch, features: torch.Tensor, batch: list[Row]
) -> None:
    """Row by row: its own images in its own order, its own mask, words untouched."""
    model, processor = tiny
    for row, sample in enumerate(batch):
        here = cached.input_ids[row] == processor.placeholder_id
        own = model.language_projection(features[list(sample.pictures)]).flatten(0, 1)
        torch.testing.assert_close(merged[row][here], own, atol=1e-5, rtol=0)
        words = model.get_input_embeddings()(cached.input_ids[row])
        assert torch.equal(merged[row][~here], words[~here])
        padding = cached.input_ids[row] == processor.pad_id
        assert torch.equal(cached.attention_mask[row] == 0, padding)
