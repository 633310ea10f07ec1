"""Batches against the straightforward way: each sample alone through transformers' own forward.

Logits are compared to 1e-5 of the largest of their sample, which float32 bears: they lie between 10
and 40, where neighbouring numbers are 1e-6 to 4e-6 apart, so 1e-5 flat would be rounding alone.
Losses of such words lie around 10, and are compared likewise.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_model import Tiny

from mmicl.images.store import ImageStore
from mmicl.model.features import encode_images
from mmicl.model.inference import Predictor, embed_prompts, project_features
from mmicl.model.processor import IGNORED
from mmicl.records import Sample
from mmicl.train.batches import BatchMaker, MicroBatch
from mmicl.train.engine import LossModel

WORDS = ("red", "a", "circle", "left", "of", "which", "image", "shows")
PICTURES = 8


@dataclass(frozen=True)
class Row:
    """One sample: pictures by number, text with their placeholders, target."""

    pictures: tuple[int, ...]
    prompt: str
    target: str


def write_row(rng: random.Random, images: int) -> Row:
    """So many images, declared or strewn into words; a picture may come twice."""
    words: list[str] = rng.choices(WORDS, k=rng.randint(1, 12))
    for number in range(images):
        place = rng.randint(0, len(words))
        words.insert(place, rng.choice([f"<image{number}>图", "图"]))
    pictures = tuple(rng.randrange(PICTURES) for _ in range(images))
    target = " ".join(rng.choices(WORDS, k=rng.randint(1, 5)))
    return Row(pictures, " ".join(words), target)


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


def make_batches(
    tiny: Tiny, visual: torch.Tensor, rows: Sequence[Row], rng: random.Random
) -> list[MicroBatch]:
    """What training makes of samples, on all of its ranks; visual: pixels or features."""
    samples = [
        Sample(
            id=str(number), source="s", dataset="d", split="train", task="vqa",
            images=tuple(map(str, row.pictures)), prompt=row.prompt, target=row.target,
            template="t", group="g",
        )
        for number, row in enumerate(rows)
    ]  # fmt: skip
    ranks, micro_batch, micro_tokens = rng.randint(1, 3), rng.randint(1, 4), rng.choice([80, 1000])
    return [
        micro
        for rank in range(ranks)
        for micro in BatchMaker(
            samples, tiny[1], lambda view: visual[int(view.image)], ranks=ranks, rank=rank,
            micro_batch=micro_batch, micro_tokens=micro_tokens, max_target_tokens=16,
        ).make(range(len(rows))).micro_batches
    ]  # fmt: skip


def run_micro(tiny: Tiny, micro: MicroBatch) -> tuple[torch.Tensor, torch.Tensor]:
    """Losses of a micro-batch as training takes them, and the logits behind them."""
    model, kept = tiny[0], []
    hook = model.language_model.register_forward_hook(
        lambda module, arguments, output: kept.append(output.logits)
    )
    losses = LossModel(model)(micro)
    hook.remove()
    return losses, kept[0]


def check_batch(tiny: Tiny, pixels: torch.Tensor, rows: Sequence[Row], seed: int) -> None:
    """Every sample comes once, with its own logits and loss; a row without weight has no loss."""
    with torch.no_grad():
        alone = [run_alone(tiny, pixels, row) for row in rows]
        features = encode_images(tiny[0], pixels)
        for visual in (features, pixels):  # cached, and not
            seen = []
            for micro in make_batches(tiny, visual, rows, random.Random(seed)):
                if visual is features:
                    check_merge(tiny, micro, features, rows)
                losses, logits = run_micro(tiny, micro)
                for place, name in enumerate(micro.names):
                    if bool((micro.labels[place] == IGNORED).all()):
                        assert float(losses[place]) == 0
                        continue
                    seen.append(int(name))
                    own = alone[int(name)]
                    length, largest = own.logits.shape[1], float(own.logits.abs().max())
                    torch.testing.assert_close(
                        logits[place, :length], own.logits[0], atol=1e-5 * largest, rtol=0
                    )
                    assert (micro.labels[place, length:] == IGNORED).all()
                    loss = float(losses[place] / length)
                    assert loss == pytest.approx(float(own.loss), rel=1e-5, abs=1e-5)
            assert sorted(seen) == list(range(len(rows)))


def check_merge(tiny: Tiny, micro: MicroBatch, features: torch.Tensor, rows: Sequence[Row]) -> None:
    """Row by row: its own images in its own order, its own mask, words untouched."""
    model, processor = tiny
    projected = project_features(model, micro.visual[micro.slots])
    merged = embed_prompts(model, micro.input_ids, micro.places, projected)
    for place, name in enumerate(micro.names):
        here = micro.input_ids[place] == processor.placeholder_id
        own = model.language_projection(features[list(rows[int(name)].pictures)]).flatten(0, 1)
        torch.testing.assert_close(merged[place][here], own, atol=1e-5, rtol=0)
        words = model.get_input_embeddings()(micro.input_ids[place])
        assert torch.equal(merged[place][~here], words[~here])
        padding = micro.input_ids[place] == processor.pad_id
        assert torch.equal(micro.attention_mask[place] == 0, padding)


@settings(max_examples=10)
@given(seed=st.integers(0, 10_000), counts=st.lists(st.integers(0, 8), min_size=1, max_size=4))
def test_any_batch_is_its_samples_one_by_one(
    shared_tiny: Tiny, pixels: torch.Tensor, seed: int, counts: list[int]
) -> None:
    rng = random.Random(seed)
    check_batch(shared_tiny, pixels, [write_row(rng, count) for count in counts], seed)


@pytest.mark.parametrize("seed", [1, 2])
def test_every_number_of_images_up_to_eight_side_by_side(
    shared_tiny: Tiny, pixels: torch.Tensor, seed: int
) -> None:
    rng = random.Random(seed)
    check_batch(shared_tiny, pixels, [write_row(rng, count) for count in range(9)], seed)


def test_ranks_that_have_nothing_left_get_rows_without_weight(
    shared_tiny: Tiny, pixels: torch.Tensor
) -> None:
    rows = [write_row(random.Random(1), 2)]
    # of this seed: three ranks for one sample
    micros = make_batches(shared_tiny, pixels, rows, random.Random(5))
    weightless = [micro for micro in micros if bool((micro.labels == IGNORED).all())]
    assert (len(micros), len(weightless)) == (3, 2)
    check_batch(shared_tiny, pixels, rows, seed=5)


def test_batch_size_never_changes_an_answer(
    tiny: Tiny, pictures: tuple[ImageStore, list[str]]
) -> None:
    images, references = pictures
    rng = random.Random(7)
    rows = [write_row(rng, number % 9) for number in range(18)]
    prompts = [row.prompt for row in rows]
    names = [[references[number] for number in row.pictures] for row in rows]
    candidates = [[row.target, "a circle"] for row in rows]
    one = Predictor(*tiny, images, batch_size=1)
    answers, scores = one.generate(prompts, names, 4), one.score(prompts, names, candidates)
    assert len(set(answers)) > 2
    for size in (5, 18):
        several = Predictor(*tiny, images, batch_size=size)
        assert several.generate(prompts, names, 4) == answers
        for found, expected in zip(several.score(prompts, names, candidates), scores, strict=True):
            assert found == pytest.approx(expected, rel=1e-5, abs=1e-4)
