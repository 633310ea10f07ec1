"""The miniature backbone learns to see: labels that are right, and what the losses reach."""

import math
import random

import torch

from mmicl.model.features import encode_images
from mmicl.model.loading import load_model
from mmicl.train.tiny.vision import (
    FEATURE_SCALE,
    IGNORED,
    WORDS,
    Namer,
    NamingTask,
    draw_picture,
    enlarge_features,
    find_loss,
    list_cell_labels,
    list_labels,
    render_picture,
)
from mmicl.world.attributes import COLORS, DISTANCE, SHAPES, UNNAMED, list_combinations
from mmicl.world.description import Crop, describe
from mmicl.world.scenes import Scene, Thing


def test_labels_name_each_word_of_each_phrase() -> None:
    rng = random.Random(5)
    pictures = [draw_picture(rng, "train") for _ in range(60)]
    labels = list_labels(pictures, 8)
    for row, picture in enumerate(pictures):
        told = tuple(
            " ".join(WORDS[word] for word in words if WORDS[word]) for words in labels[row].tolist()
        )
        assert told == describe(picture, 8)
        assert render_picture(picture).mode == "RGB"


def test_colors_without_a_name_carry_no_loss() -> None:
    rng = random.Random(6)
    pictures = [draw_picture(rng, "train", unnamed=0.5) for _ in range(60)]
    labels = list_labels(pictures, 8)
    ignored = (labels == IGNORED).nonzero()
    assert set(ignored[:, 2].tolist()) == {1}, "the second word of a phrase is the color"
    named = {
        thing.combination
        for picture in pictures
        if isinstance(picture, Scene)
        for thing in picture.things
        if thing.color in COLORS
    }
    assert named <= set(list_combinations("train"))


def test_the_namer_trains_what_sees_and_nothing_else() -> None:
    model, processor = load_model("builtin:tiny")
    namer = Namer(model)
    task = NamingTask(namer, processor, seed=0, steps=10, batch_size=4)
    loss, _ = task.loss(0, task.make(0))
    loss.backward()
    learns = {name for name, value in model.named_parameters() if value.grad is not None}
    assert any(name.startswith("vision_model") for name in learns)
    assert "query_tokens" in learns
    assert not any(name.startswith(("language", "qformer.embeddings")) for name in learns)


def test_features_are_enlarged_as_a_whole() -> None:
    model, processor = load_model("builtin:tiny")
    rng = random.Random(1)
    pixels = processor.pixels([render_picture(draw_picture(rng, "train")) for _ in range(2)])
    with torch.inference_mode():
        before = encode_images(model, pixels)
        enlarge_features(model)
        assert torch.allclose(encode_images(model, pixels), FEATURE_SCALE * before, atol=1e-4)


def test_patches_name_what_stands_in_their_cell() -> None:
    inner, outer = (
        Thing("star", "red", "small", 0, 2),
        Thing("ring", "blue", "large", 0, 2),
    )
    scene = Scene((outer, inner), look=3)
    labels = list_cell_labels([scene, Crop(scene, inner)], 8)
    assert labels.shape == (2, 64, 3)
    words = [[WORDS[word] for word in cell] for cell in labels[0].tolist()]
    assert words[7] == ["large", "blue", "ring"]
    assert words[0] == words[63] == ["nothing", "", ""]
    assert (labels[1] == IGNORED).all()


def test_no_step_speaks_against_a_held_out_combination() -> None:
    logits = torch.zeros(1, 1, 5, len(WORDS), requires_grad=True)
    words = ("large", "cyan", "circle", "top", "left")
    find_loss(logits, torch.tensor([[[WORDS.index(word) for word in words]]])).backward()
    assert logits.grad is not None
    pushed = {word: logits.grad[0, 0, 2, WORDS.index(word)].item() for word in SHAPES}
    seen = {shape for shape, color in list_combinations("train") if color == "cyan"}
    assert {shape for shape, value in pushed.items() if value != 0} == seen
    shapes = {word: logits.grad[0, 0, 1, WORDS.index(word)].item() for word in COLORS}
    seen = {color for shape, color in list_combinations("train") if shape == "circle"}
    assert {color for color, value in shapes.items() if value != 0} == seen


def test_colours_without_a_name_are_far_from_those_with_one() -> None:
    assert len(UNNAMED) > 50
    assert min(math.dist(a, b) for a in UNNAMED.values() for b in COLORS.values()) > DISTANCE
