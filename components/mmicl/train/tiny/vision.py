"""ViT and Q-Former: query k learns to name the k-th phrase of a picture's description.

A stand-in for BLIP-2's first stage, whose losses also tie the queries' outputs to text. Each
phrase has up to five words, one classifier each. BLIP-2's encoder can see before that stage begins;
ours learns it at the same time, from a second loss: each patch names what stands in its cell of the
scene's grid. All classifiers are thrown away afterwards.
"""

import functools
import itertools
import math
import random
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional

from mmicl.records import Split
from mmicl.train.tiny.loop import find_share
from mmicl.world.attributes import (
    COLORS,
    COLUMNS,
    GRADES,
    GREYS,
    GRID,
    NUMBERS,
    POLYGONS,
    ROWS,
    SHAPES,
    SIZES,
    UNNAMED,
    Combination,
    list_combinations,
)
from mmicl.world.description import COLOR, NOTHING, PHRASE_WORDS, SHAPE, Crop, Picture, describe
from mmicl.world.matrices import Panel, sample_panel
from mmicl.world.panels import render_panel
from mmicl.world.rendering import lay_out, render_scene
from mmicl.world.scenes import MAX_THINGS, Scene, sample_scene

if TYPE_CHECKING:
    from transformers import Blip2ForConditionalGeneration

    from mmicl.model.processor import MmiclProcessor

CELL_WORDS = 3
"""Size, colour, shape: the first words of a thing's phrase."""
NO_WORD = ""
WORDS = tuple(
    dict.fromkeys(
        (NO_WORD, NOTHING, *SIZES, *COLORS, *SHAPES, *ROWS, *COLUMNS, *NUMBERS[1:], *GRADES, *GREYS,
         *POLYGONS)
    )
)  # fmt: skip
PANEL_SHARE, CROP_SHARE = 0.15, 0.15
UNNAMED_SHARE = 0.45
"""How many things get a colour without a name, and no loss on its word. Without them the shape is
learnt together with the colour: of held-out combinations 8 % of the shapes were right, of training
combinations 59 %, where chance has 13 %."""
IGNORED = -100
FEATURE_SCALE = 48.0
"""Larger outputs need smaller weights in the projection, and Adam moves a weight by no more than
the sum of its learning rates. So the projection learns many times as fast as the Q-Former, with one
learning rate for both. At 12 and 1e-3 the Q-Former forgot in stage I what it knew of held-out
combinations, and slots became six times as long as word embeddings: 37 % of the questions about one
image were answered right after stage I, at 48 and 5e-5 67 %."""
CURRICULUM = ((0.08, 1), (0.2, 2), (0.35, 3))
"""Up to this share of the steps, scenes have at most so many things: naming comes before order."""


class Namer(nn.Module):
    """The part of a model that sees, with classifiers for the words of queries and patches."""

    def __init__(self, model: "Blip2ForConditionalGeneration") -> None:
        super().__init__()
        self.vision_model, self.qformer = model.vision_model, model.qformer
        self.query_tokens = model.query_tokens
        hidden = model.query_tokens.shape[-1]
        self.heads = nn.Linear(hidden, PHRASE_WORDS * len(WORDS))
        _, places, width = model.vision_model.embeddings.position_embedding.shape
        self.patch_heads = nn.Linear(width, CELL_WORDS * len(WORDS))
        self.patches_a_side = math.isqrt(places - 1)  # one is the class token's

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of pixels [images, 3, height, width].

        Returns:
            [images, queries, PHRASE_WORDS, words] and [images, patches, CELL_WORDS, words].
        """
        seen = self.vision_model(pixel_values=pixels).last_hidden_state
        queries = self.query_tokens.expand(len(pixels), -1, -1)
        told = self.qformer(query_embeds=queries, encoder_hidden_states=seen).last_hidden_state
        patches = self.patch_heads(seen[:, 1:])  # without the class token
        return (
            self.heads(told).unflatten(-1, (PHRASE_WORDS, len(WORDS))),
            patches.unflatten(-1, (CELL_WORDS, len(WORDS))),
        )


def initialize(namer: Namer, seed: int) -> None:
    """Draw starting weights by the number of inputs.

    The standard deviation of the library, 0.02, is made for widths around 1,000. At 128 the signal
    dies on its way: after 200 steps on two things, 13 % of the colours were right, with this 66 %.
    """
    generator = torch.Generator().manual_seed(seed)
    for name, value in namer.named_parameters():
        if value.ndim < 2:
            continue  # biases and norms
        deviation = value[0].numel() ** -0.5
        if "position_embedding" in name or "class_embedding" in name:
            deviation = 0.3
        elif name == "query_tokens":
            deviation = 1.0
        with torch.no_grad():
            value.normal_(std=deviation, generator=generator)


def enlarge_features(model: "Blip2ForConditionalGeneration") -> None:
    """Multiply the Q-Former's outputs by FEATURE_SCALE, through its last norm.

    The classifiers that fixed their scale are gone. The random projection shrinks by as much, so
    that what it hands over at first stays small.
    """
    last = len(model.qformer.encoder.layer) - 1
    norm = model.qformer.get_submodule(f"encoder.layer.{last}.output_query.LayerNorm")
    with torch.no_grad():
        for value in norm.parameters():
            value.mul_(FEATURE_SCALE)
        model.language_projection.weight.div_(FEATURE_SCALE)


def draw_picture(
    rng: random.Random, split: Split, most: int = MAX_THINGS, unnamed: float = 0.0
) -> Picture:
    """A scene of at most `most` things; sometimes a crop of one, or a panel of a matrix.

    `unnamed` is the share of things that get a colour without a name.
    """
    kind = rng.random()
    if kind < PANEL_SHARE:
        return sample_panel(rng)
    scene = sample_scene(rng, split, least=1, most=most)
    if unnamed:
        things = [
            replace(thing, color=rng.choice(tuple(UNNAMED))) if rng.random() < unnamed else thing
            for thing in scene.things
        ]
        scene = Scene(tuple(things), scene.look)
    if kind < PANEL_SHARE + CROP_SHARE:
        return Crop(scene, rng.choice(scene.things))
    return scene


def render_picture(picture: Picture) -> Image.Image:
    """Draw a scene, a panel, or a crop along the thing's box."""
    if isinstance(picture, Scene):
        return render_scene(picture)
    if isinstance(picture, Panel):
        return Image.fromarray(render_panel(picture)).convert("RGB")
    box = next(place.box for place in lay_out(picture.scene) if place.thing is picture.thing)
    return render_scene(picture.scene).crop(box)


def list_labels(pictures: Sequence[Picture], slots: int) -> Tensor:
    """Word numbers [pictures, slots, PHRASE_WORDS] of the pictures' descriptions.

    Unnamed colours are IGNORED.
    """
    places = {word: place for place, word in enumerate(WORDS)} | dict.fromkeys(UNNAMED, IGNORED)
    rows = []
    for picture in pictures:
        phrases = [phrase.split() for phrase in describe(picture, slots)]
        rows.append(
            [
                [places[word] for word in (*words, *[NO_WORD] * (PHRASE_WORDS - len(words)))]
                for words in phrases
            ]
        )
    return torch.tensor(rows)


def list_cell_labels(pictures: Sequence[Picture], patches_a_side: int) -> Tensor:
    """Word numbers [pictures, patches, CELL_WORDS] of what stands in each patch's cell.

    IGNORED throughout where a picture is no scene; of two things in a cell, the outer one counts.
    """
    places = {word: place for place, word in enumerate(WORDS)} | dict.fromkeys(UNNAMED, IGNORED)
    cell_of = [int((place + 0.5) * GRID / patches_a_side) for place in range(patches_a_side)]
    rows = []
    for picture in pictures:
        cells = [[[IGNORED] * CELL_WORDS] * GRID for _ in range(GRID)]
        if isinstance(picture, Scene):
            empty = [places[NOTHING], places[NO_WORD], places[NO_WORD]]
            cells = [[empty] * GRID for _ in range(GRID)]
            for thing in reversed(picture.things):
                words = (thing.size, thing.color, thing.shape)
                cells[thing.row][thing.column] = [places[word] for word in words]
        rows.append([cells[row][column] for row in cell_of for column in cell_of])
    return torch.tensor(rows)


@functools.cache
def list_unseen() -> tuple[Tensor, Tensor]:
    """Held-out shapes of each colour [words + 1, words], held-out colours of each shape.

    True where a combination does not occur in training. The last row is that of IGNORED.
    """
    size = len(WORDS)
    shapes = torch.zeros(size + 1, size, dtype=torch.bool)
    colors = torch.zeros(size + 1, size, dtype=torch.bool)
    seen = set(list_combinations("train"))
    for shape, color in itertools.product(SHAPES, COLORS):
        if Combination(shape, color) not in seen:
            shapes[WORDS.index(color), WORDS.index(shape)] = True
            colors[WORDS.index(shape), WORDS.index(color)] = True
    return shapes, colors


def find_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy over words; logits are [..., CELL_WORDS or PHRASE_WORDS, words].

    A shape is held against those alone that occur in its colour, and a colour against those that
    occur in its shape. Otherwise the model is taught that a cyan thing is never a square.
    """
    shapes, colors = (table.to(logits.device) for table in list_unseen())
    unseen = torch.zeros(logits.shape, dtype=torch.bool, device=logits.device)
    rows = labels.where(labels >= 0, len(WORDS))
    unseen[..., SHAPE, :] = shapes[rows[..., COLOR]]
    unseen[..., COLOR, :] = colors[rows[..., SHAPE]]
    logits = logits.masked_fill(unseen, -math.inf)
    return functional.cross_entropy(logits.flatten(0, -2), labels.flatten(), ignore_index=IGNORED)


class NamingBatch(NamedTuple):
    """Pixels [pictures, 3, height, width], and the labels of their phrases and of their patches."""

    pixels: np.ndarray
    labels: np.ndarray
    cells: np.ndarray


class NamingTask:
    """Batches of pictures and the loss of naming them: a pure function of (seed, step)."""

    def __init__(
        self, namer: Namer, processor: "MmiclProcessor", seed: int, steps: int, batch_size: int
    ) -> None:
        self.namer, self.processor = namer, processor
        self.seed, self.steps, self.batch_size = seed, steps, batch_size

    def draw(self, stream: str, split: Split, count: int, **options: Any) -> list[Picture]:
        """Pictures of a stream; options as `draw_picture` has them."""
        rng = random.Random(f"{self.seed}/{stream}")
        return [draw_picture(rng, split, **options) for _ in range(count)]

    def render(self, pictures: Sequence[Picture]) -> Tensor:
        """Pixels [pictures, 3, height, width]."""
        return self.processor.pixels([render_picture(picture) for picture in pictures])

    def make(self, step: int) -> NamingBatch:
        """This process's share of the pictures of a step."""
        most = next((most for share, most in CURRICULUM if step < share * self.steps), MAX_THINGS)
        pictures = self.draw(
            f"vision/{step}", "train", self.batch_size, most=most, unnamed=UNNAMED_SHARE
        )
        own, processes = find_share()
        pictures = pictures[own::processes]
        labels = list_labels(pictures, self.processor.num_query_tokens)
        cells = list_cell_labels(pictures, self.namer.patches_a_side)
        return NamingBatch(self.render(pictures).numpy(), labels.numpy(), cells.numpy())

    def loss(self, step: int, batch: NamingBatch) -> tuple[Tensor, dict[str, Tensor]]:
        """Cross-entropy over the words of all phrases, plus that over the words of all patches."""
        device = self.namer.query_tokens.device
        pixels, labels, cells = (torch.from_numpy(part).to(device) for part in batch)
        logits, patch_logits = self.namer(pixels)
        naming, seeing = find_loss(logits, labels), find_loss(patch_logits, cells)
        right = ((logits.argmax(-1) == labels) | (labels == IGNORED)).all(-1)
        figures = {"naming": naming.detach(), "seeing": seeing.detach()}
        return naming + seeing, {**figures, "phrases": right.float().mean()}

    @torch.inference_mode()
    def measure(self, split: Split, count: int = 400) -> dict[str, float]:
        """Points: phrases and pictures named wholly right, and each word of scenes' things."""
        pictures = self.draw(f"measure/{split}", split, count)
        labels = list_labels(pictures, self.processor.num_query_tokens)
        parts = self.render(pictures).to(self.namer.query_tokens.device).split(100)
        found = torch.cat([self.namer(part)[0].argmax(-1) for part in parts]).cpu()
        right = (found == labels).all(-1)
        there = labels[..., 0] != WORDS.index(NOTHING)
        things = torch.isin(labels[..., 2], torch.tensor([WORDS.index(name) for name in SHAPES]))
        return {
            "phrases": 100 * right[there].float().mean().item(),
            "pictures": 100 * right.all(-1).float().mean().item(),
            **{
                name: 100 * (found == labels)[..., place][things].float().mean().item()
                for place, name in enumerate(("size", "color", "shape", "row", "column"))
            },
        }
