"""Captioner and matcher against transformers' own calls, a picture at a time."""

import io
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from transformers import (
    AutoTokenizer,
    BlipForConditionalGeneration,
    BlipForImageTextRetrieval,
    TopPLogitsWarper,
)
from web_shards import paint

from mmicl.captioning.models import FEWEST, MOST, REPETITION, Captioner, Matcher, find_checkpoint
from mmicl.captioning.options import PROMPT, Options
from mmicl.captioning.sampling import NucleusSampling, draw_uniforms

PICTURES = [Image.open(io.BytesIO(paint(key))).convert("RGB") for key in range(7)]
NAMES = [f"picture {key}" for key in range(7)]
TEXTS = [
    [],
    ["a red dog"],
    ["a dog on the beach", "cats", "two boats and three fish in a small street with a large tree"],
    ["the house"],
    ["blue", "green", "red", "a picture of a picture"],
    ["house " * 60],
    ["a man with a ball", "a man with a ball on the street"],
]


@pytest.fixture
def captioner(checkpoints: dict[str, str], tmp_path: Path):
    def load(**changes: Any) -> Captioner:
        options = Options(tmp_path, tmp_path.parent / "out", candidates=4, **changes)
        return Captioner(find_checkpoint(checkpoints["captioner"], "--captioner"), options, "cpu")

    return load


@pytest.fixture
def matcher(checkpoints: dict[str, str], tmp_path: Path) -> Matcher:
    options = Options(tmp_path, tmp_path.parent / "out")
    return Matcher(find_checkpoint(checkpoints["matcher"], "--matcher"), options, "cpu")


def generate_plainly(checkpoint: str, image: Image.Image, **rule: Any) -> list[str]:
    """Captions by BLIP's own `generate`, for one picture."""
    model = BlipForConditionalGeneration.from_pretrained(checkpoint)
    tokenizer: Any = AutoTokenizer.from_pretrained(checkpoint)
    words = tokenizer([PROMPT], return_tensors="pt")
    from transformers.models.blip.image_processing_pil_blip import BlipImageProcessorPil

    processor = BlipImageProcessorPil.from_pretrained(checkpoint)
    ids = model.generate(
        processor(image, return_tensors="pt")["pixel_values"],
        words.input_ids,
        words.attention_mask,
        min_new_tokens=FEWEST,
        max_new_tokens=MOST,
        do_sample=False,
        **rule,
    )
    texts = tokenizer.batch_decode(ids, skip_special_tokens=True)
    assert all(text.startswith(PROMPT) for text in texts)
    return [text.removeprefix(PROMPT).strip() for text in texts]


def test_beam_search_is_blips_own(captioner, checkpoints: dict[str, str]) -> None:
    own = captioner(sampling="beam")
    written = own.write([own.prepare(image) for image in PICTURES], NAMES)
    for image, texts in zip(PICTURES, written, strict=True):
        plain = generate_plainly(
            checkpoints["captioner"], image, num_beams=4, num_return_sequences=4
        )
        assert texts == plain
    assert len({text for texts in written for text in texts}) > len(PICTURES)


def test_a_nucleus_of_one_token_is_greedy(captioner, checkpoints: dict[str, str]) -> None:
    own = captioner(top_p=1e-6)
    written = own.write([own.prepare(image) for image in PICTURES], NAMES)
    plain = [
        generate_plainly(checkpoints["captioner"], image, repetition_penalty=REPETITION)
        for image in PICTURES
    ]
    assert written == [texts * 4 for texts in plain]
    assert len({texts[0] for texts in plain}) > 1, "pictures must matter"


@pytest.mark.parametrize("top_p", [0.3, 0.9, 1.0])
def test_draws_have_the_nucleus_distribution(top_p: float) -> None:
    torch.manual_seed(0)
    scores = 2 * torch.randn(1, 40)
    ids = torch.zeros(1, 5, dtype=torch.long)
    wanted = TopPLogitsWarper(top_p)(ids, scores).softmax(dim=-1)[0]  # type: ignore[arg-type]
    marks = (torch.arange(20_000) + 0.5)[:, None] / 20_000
    rule = NucleusSampling(top_p, torch.cat([torch.zeros_like(marks), marks], dim=1), prompt=4)
    drawn = rule(ids.expand(20_000, -1), scores.expand(20_000, -1))
    assert (drawn.isfinite().sum(dim=1) == 1).all()
    found = drawn.argmax(dim=1).bincount(minlength=40) / 20_000
    torch.testing.assert_close(found, wanted, atol=1e-4, rtol=0)
    assert set(found.nonzero().flatten().tolist()) == set(wanted.nonzero().flatten().tolist())


def test_draws_belong_to_seed_picture_and_caption() -> None:
    both = draw_uniforms(7, ["a", "b"], captions=3, steps=5)
    assert both.shape == (6, 5)
    assert len({tuple(row) for row in both.tolist()}) == 6
    assert torch.equal(draw_uniforms(7, ["b"], captions=2, steps=5), both[3:5])
    assert not torch.equal(draw_uniforms(8, ["b"], captions=2, steps=5), both[3:5])


def test_a_caption_does_not_depend_on_the_batch(captioner) -> None:
    own = captioner(top_p=0.9, seed=3)
    pixels = [own.prepare(image) for image in PICTURES]
    together = own.write(pixels, NAMES)
    alone = [own.write([one], [name])[0] for one, name in zip(pixels, NAMES, strict=True)]
    backwards = own.write(pixels[::-1], NAMES[::-1])[::-1]
    assert together == alone == backwards
    assert len({text for texts in together for text in texts}) > 20
    assert captioner(top_p=0.9, seed=4).write(pixels, NAMES) != together


def test_scores_are_the_matching_heads_own(matcher: Matcher, checkpoints: dict[str, str]) -> None:
    plain = BlipForImageTextRetrieval.from_pretrained(checkpoints["matcher"]).eval()
    tokenizer: Any = AutoTokenizer.from_pretrained(checkpoints["matcher"])
    pixels = [matcher.prepare(image) for image in PICTURES]
    scores = matcher.score(pixels, TEXTS)
    assert [len(own) for own in scores] == [len(own) for own in TEXTS]
    for one, texts, own in zip(pixels, TEXTS, scores, strict=True):
        for text, value in zip(texts, own, strict=True):
            words = tokenizer(text, truncation=True, max_length=35, return_tensors="pt")
            with torch.no_grad():
                logits = plain(**words, pixel_values=one[None]).itm_score[0]
            assert value == pytest.approx(float(logits[1] - logits[0]), abs=1e-4)
            probability = torch.sigmoid(torch.tensor(value))
            torch.testing.assert_close(probability, logits.softmax(0)[1], atol=1e-5, rtol=0)
    assert len({round(value, 3) for own in scores for value in own}) == sum(map(len, TEXTS))


def test_a_score_does_not_depend_on_the_batch(matcher: Matcher) -> None:
    pixels = [matcher.prepare(image) for image in PICTURES]
    together = matcher.score(pixels, TEXTS)
    alone = [matcher.score([one], [own])[0] for one, own in zip(pixels, TEXTS, strict=True)]
    for one, other in zip(together, alone, strict=True):
        assert one == pytest.approx(other, abs=1e-4)


def test_no_text_needs_no_model(matcher: Matcher) -> None:
    assert matcher.score([matcher.prepare(PICTURES[0])], [[]]) == [[]]
