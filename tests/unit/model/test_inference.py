"""Answers and likelihoods: the plain model's, whatever the batch."""

import pytest
import torch
from tiny_model import Tiny

from mmicl.errors import DataError
from mmicl.images.store import ImageStore
from mmicl.model.features import FeatureStore, feature_key
from mmicl.model.inference import Predictor, embed_prompts, find_placeholders, project_features
from mmicl.model.views import View

Pictures = tuple[ImageStore, list[str]]
PROMPTS = [
    "image 0 is <image0>图. Describe the image.",
    "image 0 is <image0>图. image 1 is <image1>图. Which image shows a red circle? Answer:",
    "Is a circle round?",
    "Look at <image0>图, <image1>图, <image2>图. How many? Answer:",
]
COUNTS = [1, 2, 0, 3]
CANDIDATES = [
    ["a red circle.", "a blue square above a star."],
    ["yes", "no"],
    ["no"],
    ["1", "2", "3"],
]


def draw_images(references: list[str]) -> list[list[str]]:
    drawn = iter(references)
    return [[next(drawn) for _ in range(count)] for count in COUNTS]


def test_cached_features_give_the_plain_models_logits_and_loss(
    tiny: Tiny, pictures: Pictures
) -> None:
    model, processor = tiny
    images, references = pictures
    names = draw_images(references)
    batch = processor([[images.load(name) for name in row] for row in names], PROMPTS)
    labels = processor.encode_targets([row[0] for row in CANDIDATES]).labels
    with torch.no_grad():
        plain = model(**batch, labels=labels)
        flat = [name for row in names for name in row]
        pixels = processor.pixels([images.load(name) for name in flat])
        hidden = model.get_image_features(pixels).qformer_outputs.last_hidden_state
        places = find_placeholders(batch["input_ids"], processor.placeholder_id)
        projected = project_features(model, hidden)
        embeddings = embed_prompts(model, batch["input_ids"], places, projected)
        own = model.language_model(
            inputs_embeds=embeddings, attention_mask=batch["attention_mask"], labels=labels
        )
    torch.testing.assert_close(own.logits, plain.logits, atol=1e-5, rtol=0)
    assert float(own.loss) == pytest.approx(float(plain.loss), abs=1e-5)


def test_scores_are_the_log_likelihoods_of_the_plain_model(tiny: Tiny, pictures: Pictures) -> None:
    model, processor = tiny
    images, references = pictures
    names = draw_images(references)
    scores = Predictor(model, processor, images).score(PROMPTS, names, CANDIDATES)
    for place, candidates in enumerate(CANDIDATES[:2]):
        for nth, text in enumerate(candidates):
            batch = processor([[images.load(name) for name in names[place]]], [PROMPTS[place]])
            labels = processor.encode_targets([text]).labels
            with torch.no_grad():
                loss = model(**batch, labels=labels).loss
            assert scores[place][nth] == pytest.approx(-float(loss) * labels.shape[1], abs=1e-3)


def test_results_do_not_depend_on_batch_order_or_cache(
    tiny: Tiny, pictures: Pictures, tmp_path
) -> None:
    model, processor = tiny
    images, references = pictures
    names = draw_images(references)
    store = FeatureStore(tmp_path, feature_key(model, processor, "fp32"))
    store.ensure(map(View, references[:4]), images, model, processor)
    one = Predictor(model, processor, images, batch_size=1)
    many = Predictor(model, processor, images, store, batch_size=8)
    turned = [PROMPTS[::-1], names[::-1], CANDIDATES[::-1]]
    expected = one.score(PROMPTS, names, CANDIDATES)
    for scores in (many.score(PROMPTS, names, CANDIDATES), many.score(*turned)[::-1]):
        for found, wanted in zip(scores, expected, strict=True):
            assert found == pytest.approx(wanted, abs=1e-4)
    assert one.generate(PROMPTS, names, 8) == many.generate(PROMPTS, names, 8)


def test_generation_is_the_plain_models(tiny: Tiny, pictures: Pictures) -> None:
    model, processor = tiny
    images, references = pictures
    names = draw_images(references)
    answers = Predictor(model, processor, images).generate(PROMPTS[:2], names[:2], 6)
    for place in range(2):
        batch = processor([[images.load(name) for name in names[place]]], [PROMPTS[place]])
        ids = model.generate(**batch, max_new_tokens=6, do_sample=False)
        assert processor.decode(ids) == [answers[place]]


def test_the_images_matter(tiny: Tiny, pictures: Pictures) -> None:
    images, references = pictures
    predictor = Predictor(*tiny, images)
    seen = predictor.score(PROMPTS[:1], [references[:1]], [["red"]])
    other = predictor.score(PROMPTS[:1], [references[1:2]], [["red"]])
    assert seen != other


def test_nothing_asked_nothing_answered(tiny: Tiny, pictures: Pictures) -> None:
    predictor = Predictor(*tiny, pictures[0])
    assert predictor.generate([], [], 4) == []
    assert predictor.score(["what?"], [[]], [[]]) == [[]]


def test_more_placeholders_than_features_are_refused(tiny: Tiny) -> None:
    model, processor = tiny
    ids = torch.tensor(processor.encode(["图 图"], [2]))
    with pytest.raises(DataError, match="8 placeholder tokens for 1 images"):
        places = find_placeholders(ids, processor.placeholder_id)
        embed_prompts(model, ids, places, torch.zeros(1, 4, 128))
