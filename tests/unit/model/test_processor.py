"""Prompts and images into tensors: counts, order, padding, nothing cut unseen."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from tiny_model import Tiny

from mmicl.errors import DataError, UserError
from mmicl.model.processor import IGNORED, MmiclProcessor
from mmicl.model.tiny import QUERIES

RED, BLUE = Image.new("RGB", (64, 64), "red"), Image.new("RGB", (32, 90), "blue")


def test_each_placeholder_becomes_one_token_per_query(tiny: Tiny) -> None:
    _, processor = tiny
    batch = processor([[RED, BLUE], [RED], []], ["<image0>图<image1>图 which?", "图 what?", "who?"])
    count = (batch["input_ids"] == processor.placeholder_id).sum(dim=1)
    assert count.tolist() == [2 * QUERIES, QUERIES, 0]
    assert batch["pixel_values"].shape == (3, 3, 64, 64)
    assert batch["attention_mask"].sum(dim=1).tolist() == [
        int((row != processor.pad_id).sum()) for row in batch["input_ids"]
    ]


def test_images_keep_the_order_of_their_placeholders(tiny: Tiny) -> None:
    _, processor = tiny
    pixels = processor([[RED, BLUE], [BLUE]], ["图 图", "图"])["pixel_values"]
    assert torch.equal(
        pixels, torch.cat([processor.pixels([image]) for image in (RED, BLUE, BLUE)])
    )


def test_pixels_are_resized_and_normalised_by_the_models_mean_and_deviation(tiny: Tiny) -> None:
    _, processor = tiny
    pixels = processor.pixels([RED])[0].mean(dim=(1, 2)).numpy()
    mean = np.array([0.48145466, 0.4578275, 0.40821073])  # CLIP's, as BLIP-2 uses them
    deviation = np.array([0.26862954, 0.26130258, 0.27577711])
    assert pixels == pytest.approx((np.array([1.0, 0.0, 0.0]) - mean) / deviation, abs=1e-5)


@pytest.mark.parametrize("images", [[], [RED, BLUE]])
def test_a_count_that_does_not_fit_names_the_sample(tiny: Tiny, images: list[Image.Image]) -> None:
    _, processor = tiny
    with pytest.raises(DataError, match=rf"vqa/7: the prompt has 1 .* for {len(images)} images"):
        processor([[RED], images], ["图 a", "图 b"], names=["vqa/6", "vqa/7"])


def test_long_targets_are_counted_and_do_not_learn_to_stop(tiny: Tiny) -> None:
    _, processor = tiny
    end = processor.tokenizer.eos_token_id
    targets = processor.encode_targets(["red", "a red circle above a blue square"], max_tokens=4)
    assert targets.truncated == 1
    assert targets.labels.shape == (2, 4)
    assert targets.labels[0].tolist()[1:] == [end, IGNORED, IGNORED]
    assert end not in targets.labels[1].tolist()


def test_an_image_that_cannot_be_used_names_the_sample(tiny: Tiny) -> None:
    processor = tiny[1]
    nothing: Any = np.zeros(7)
    with pytest.raises(DataError, match=r"^vqa/7: an image cannot be used"):
        processor([[RED], [RED, nothing]], ["图 a", "图 图 b"], names=["vqa/6", "vqa/7"])
    with pytest.raises(UserError, match="no prompts"):
        processor([], [])


def test_a_prompt_is_never_cut(tiny: Tiny) -> None:
    _, processor = tiny
    (ids,) = processor.encode(["red " * 3000], [0])
    assert len(ids) >= 3001


def test_a_prompt_is_counted_as_the_model_sees_it(tiny: Tiny) -> None:
    prompts = ["image 0 is <image0>图. what is it ?", "no picture", "图图 and 图"]
    _, processor = tiny
    counts = [processor.count(prompt) for prompt in prompts]
    ids = processor.encode(prompts, [1, 0, 3])
    assert counts == list(map(len, ids))
    shown = [prompt.count("图") for prompt in prompts]
    assert [row.count(processor.placeholder_id) for row in ids] == [
        processor.num_query_tokens * number for number in shown
    ]


def test_a_saved_processor_comes_back_the_same(tiny: Tiny, tmp_path: Path) -> None:
    _, processor = tiny
    processor.image_tags = True
    processor.save_pretrained(tmp_path)
    again = MmiclProcessor.from_pretrained(tmp_path)
    processor.image_tags = False
    assert again.image_tags
    assert again.num_query_tokens == processor.num_query_tokens
    images, text = [[RED, BLUE], [RED]], ["<image0>图<image1>图 which?", "图 what?"]
    expected = processor(images=images, text=text, return_tensors="pt")
    found = again(images=images, text=text, return_tensors="pt")
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)


@pytest.mark.parametrize(
    ("images", "text", "message"),
    [
        ([RED], ["图"], "one list of images for each"),
        ([[RED]], "图", "one list of images for each"),
        ([[RED]], ["图", "图"], "1 lists of images for 2 prompts"),
    ],
)
def test_arguments_of_another_shape_are_refused(
    tiny: Tiny, images: Any, text: Any, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        tiny[1](images=images, text=text)
