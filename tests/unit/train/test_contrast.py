"""An image's choice among the batch's captions: right for any ranks and micro-batches."""

from typing import Any

import pytest
import torch
from train_samples import sample

from mmicl.errors import DataError
from mmicl.model.loading import load_model
from mmicl.model.processor import MmiclProcessor
from mmicl.model.views import View
from mmicl.train.batches import BatchMaker
from mmicl.train.contrast import Captions, find_contrast_loss
from mmicl.train.engine import LossModel

TEXTS = ("a red circle", "a blue star", "a red circle", "a small green ring on the left", "a heart")
IMAGES = ("a", "b", "c", "d", "d")
ROWS = [
    sample(number, target=text, images=(image,), prompt="图 Describe it.")
    for number, (text, image) in enumerate(zip(TEXTS, IMAGES, strict=True))
]


def make_captions(processor: MmiclProcessor, weight: float = 0.5) -> Captions:
    return Captions(ROWS, processor.encode_targets(TEXTS).labels, weight)


def test_captions_of_the_same_image_or_text_are_no_wrong_choice(processor: MmiclProcessor) -> None:
    contrast = make_captions(processor).share_out([0, 3, None], [0, 3, 0])
    assert contrast.choices.tolist() == [
        [True, True, False, True, True],
        [True, True, True, True, False],
        [True, True, False, True, True],
    ]
    assert contrast.own.tolist() == [0, 3, 0]
    tokens = int((make_captions(processor).labels != -100).sum())
    assert contrast.weights.tolist() == pytest.approx([0.5 * tokens / 5, 0.5 * tokens / 5, 0.0])


def test_an_image_like_its_caption_costs_less_than_one_like_another(
    processor: MmiclProcessor,
) -> None:
    table = torch.nn.Embedding(len(processor.tokenizer), 16)
    contrast = make_captions(processor).share_out([1, 3], [1, 3])
    told = contrast.captions != -100
    texts = (table(contrast.captions.clamp(min=0)) * told[..., None]).sum(1) / told.sum(1)[:, None]
    images = (texts - texts.mean(0))[[1, 3], None].expand(-1, 4, -1)
    right = find_contrast_loss(contrast, images, table)
    wrong = find_contrast_loss(contrast, images.flip(0), table)
    assert (right < wrong).all()
    apart = torch.nn.functional.cosine_similarity(images[:, 0, None], (texts - texts.mean(0)), -1)
    by_hand = -(apart / 0.1).masked_fill(~contrast.choices, -torch.inf).log_softmax(1)
    expected = by_hand[torch.arange(2), contrast.own] * contrast.weights
    assert torch.allclose(right, expected, atol=1e-5)


def test_a_sample_of_two_images_is_named(processor: MmiclProcessor) -> None:
    rows = [ROWS[0], sample(7, target="two", images=("a", "b"), prompt="图 图 Which?")]
    with pytest.raises(DataError, match=rf"{rows[1].id}: 2 images, not one; set pretrain.contras"):
        Captions(rows, processor.encode_targets(["x", "y"]).labels, 0.1)


def find_losses(model: Any, processor: MmiclProcessor, ranks: int, size: int) -> list[float]:
    """The batch's loss in training and in evaluation, summed over ranks and micro-batches."""
    pictures = {name: torch.rand(3, 64, 64, generator=seeded(name)) for name in set(IMAGES)}

    def load(view: View) -> torch.Tensor:
        return pictures[view.image]

    sums = []
    for training in (True, False):
        wrapped = LossModel(model)
        wrapped.training = training
        total = 0.0
        for rank in range(ranks):
            maker = BatchMaker(
                ROWS, processor, load, ranks=ranks, rank=rank, micro_batch=size,
                micro_tokens=10_000, max_target_tokens=16, contrastive=0.5,
            )  # fmt: skip
            step = maker.make(range(len(ROWS)))
            with torch.inference_mode():
                total += sum(float(wrapped(micro).sum()) for micro in step.micro_batches)
        sums.append(total)
    return sums


def seeded(name: str) -> torch.Generator:
    return torch.Generator().manual_seed(ord(name))


def test_ranks_and_micro_batches_change_nothing_and_evaluation_has_none() -> None:
    model, processor = load_model("builtin:tiny")
    whole = find_losses(model, processor, ranks=1, size=8)
    assert whole[0] > whole[1] + 1
    for ranks, size in ((1, 2), (2, 2), (4, 1)):
        assert find_losses(model, processor, ranks, size) == pytest.approx(whole, rel=1e-5)
