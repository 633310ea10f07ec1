"""T5 on text: the instruction bank's prompts, each image's slots filled by its description.

A slot is the sum of its phrase's word embeddings, from the model's own table, made as long as one
word's, with a little noise: what the projection will hand over later is never exact.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from mmicl.config import Scheme
from mmicl.mic.scheme import FULL_SCHEME, render
from mmicl.mic.templates import TASKS
from mmicl.model.processor import IGNORED
from mmicl.records import Split, Template
from mmicl.train.tiny.tasks import SKILLS, make_asked
from mmicl.world.description import Picture, describe
from mmicl.world.scenes import MAX_THINGS

if TYPE_CHECKING:
    from transformers import Blip2ForConditionalGeneration

    from mmicl.model.processor import MmiclProcessor

NOISE = 0.2
"""Standard deviation, relative to the slots' own."""
CHUNKS = 4
"""A batch is cut by length into so many parts, so that little of it is padding."""
NO_DECLARATION = Scheme(declaration=False, in_context=True, interrelated=True)
UNDECLARED_SHARE = 0.05

STAGES: tuple[tuple[float, dict[str, float]], ...] = (
    (0.4, {"caption": 1, "vqa": 6, "pope": 1, "region": 0.3, "several": 1}),
    (0.7, {"caption": 0.7, "vqa": 4, "pope": 1, "region": 0.2, "several": 2, "which": 0.7,
           "nlvr": 2, "vcr": 1.5, "winoground": 1}),
    (1.0, {"caption": 0.7, "vqa": 3.5, "pope": 1, "region": 0.2, "several": 1.5, "which": 0.7,
           "nlvr": 2.5, "vcr": 2, "winoground": 1.2, "raven": 0.5, "sequence": 0.5, "labels": 0.5}),
)  # fmt: skip
"""The curriculum: up to a share of the steps, how often each skill is drawn."""
THINGS = ((0.1, 1), (0.2, 2))
"""Up to a share of the steps, scenes have at most so many things. Copying what a single slot says
is learnt in 200 steps, and looking up the right slot grows from it."""
EXEMPLARS = (0.75, 0.15, 0.1)
"""How often none, one or two worked examples come first, from the second stage on."""


@dataclass(frozen=True)
class Prompt:
    """A prompt as token ids, with its pictures in order."""

    ids: list[int]
    pictures: tuple[Picture, ...]
    target: str
    skill: str


class Reader(nn.Module):
    """A model's language half, reading descriptions in the place of images."""

    def __init__(self, model: "Blip2ForConditionalGeneration", processor: "MmiclProcessor") -> None:
        super().__init__()
        self.language_model = model.language_model
        self.processor = processor
        self._phrases: dict[str, list[int]] = {}

    def embed(self, prompts: Sequence[Prompt], noise: torch.Generator | None) -> dict[str, Tensor]:
        """`inputs_embeds` [prompts, tokens, width] and `attention_mask` [prompts, tokens]."""
        batch = self.processor.pad([prompt.ids for prompt in prompts])
        embeddings = self.language_model.get_input_embeddings()(batch["input_ids"])
        slots = self.fill_slots([picture for prompt in prompts for picture in prompt.pictures])
        if noise is not None:
            deviation = NOISE * slots.detach().std()
            slots = slots + deviation * torch.randn(slots.shape, generator=noise)
        mask = (batch["input_ids"] == self.processor.placeholder_id).unsqueeze(-1)
        return {
            "inputs_embeds": embeddings.masked_scatter(mask, slots),
            "attention_mask": batch["attention_mask"],
        }

    def fill_slots(self, pictures: Sequence[Picture]) -> Tensor:
        """What stands in the slots of the pictures: [pictures x queries, width]."""
        queries = self.processor.num_query_tokens
        return self.embed_phrases(
            [phrase for picture in pictures for phrase in describe(picture, queries)]
        )

    def embed_phrases(self, phrases: Sequence[str]) -> Tensor:
        """The sum of each phrase's word embeddings, as long as one of them: [phrases, width]."""
        for phrase in set(phrases) - self._phrases.keys():
            ids = self.processor.tokenizer(phrase, add_special_tokens=False).input_ids
            self._phrases[phrase] = list(ids)
        rows = [self._phrases[phrase] for phrase in phrases]
        offsets = torch.tensor([0, *map(len, rows)]).cumsum(0)[:-1]
        flat = torch.tensor([token for row in rows for token in row])
        table = self.language_model.get_input_embeddings().weight
        sums = functional.embedding_bag(flat, table, offsets, mode="sum")
        return sums / torch.tensor([len(row) for row in rows]).sqrt().unsqueeze(1)

    def forward(self, prompts: Sequence[Prompt], noise: torch.Generator | None) -> Tensor:
        """The loss of each prompt's target, averaged over its tokens: [prompts]."""
        labels = self.processor.encode_targets([prompt.target for prompt in prompts]).labels
        logits = self.language_model(**self.embed(prompts, noise), labels=labels).logits
        losses = functional.cross_entropy(
            logits.transpose(1, 2), labels, ignore_index=IGNORED, reduction="none"
        )
        return losses.sum(1) / (labels != IGNORED).sum(1)

    @torch.inference_mode()
    def answer(self, prompts: Sequence[Prompt]) -> list[str]:
        """Greedy answers."""
        ids = self.language_model.generate(**self.embed(prompts, None), max_new_tokens=24)
        return self.processor.decode(ids)


class ReadingTask:
    """Batches of prompts and their loss: a pure function of (seed, step)."""

    def __init__(
        self,
        reader: Reader,
        bank: Mapping[str, Sequence[Template]],
        *,
        seed: int,
        steps: int,
        batch_size: int,
    ) -> None:
        self.reader, self.bank = reader, bank
        self.seed, self.steps, self.batch_size = seed, steps, batch_size

    def loss(self, step: int) -> tuple[Tensor, dict[str, float]]:
        """Mean over the prompts of their mean token loss."""
        noise = torch.Generator().manual_seed(self.seed * 1_000_003 + step)
        prompts = sorted(self.make_batch(step), key=lambda prompt: len(prompt.ids))
        part = -(-len(prompts) // CHUNKS)
        losses = torch.cat(
            [
                self.reader(prompts[start : start + part], noise)
                for start in range(0, len(prompts), part)
            ]
        )
        figures = {}
        for skill in ("vqa", "nlvr"):
            chosen = [place for place, prompt in enumerate(prompts) if prompt.skill == skill]
            if chosen:
                figures[skill] = losses.detach()[chosen].mean().item()
        return losses.mean(), figures

    def make_batch(self, step: int) -> list[Prompt]:
        """The prompts of a step, by the curriculum."""
        rng = random.Random(f"{self.seed}/language/{step}")
        share = step / self.steps
        stage, weights = next(
            (place, weights) for place, (end, weights) in enumerate(STAGES) if share < end
        )
        most = next((most for end, most in THINGS if share < end), MAX_THINGS)
        skills = rng.choices(list(weights), list(weights.values()), k=self.batch_size)
        rows = []
        for place, skill in enumerate(skills):
            exemplars = rng.choices(range(len(EXEMPLARS)), EXEMPLARS)[0] if stage else 0
            rows.append(self.write(skill, rng, "train", f"{step}-{place}", exemplars, most=most))
        return self.encode(rows)

    def make_test(self, skill: str, split: Split, count: int, exemplars: int = 0) -> list[Prompt]:
        """Prompts of one skill to measure with."""
        rng = random.Random(f"{self.seed}/measure/{skill}/{split}")
        rows = [
            self.write(skill, rng, split, f"m{place}", exemplars, declared=True)
            for place in range(count)
        ]
        return self.encode(rows)

    def write(
        self, skill: str, rng: random.Random, split: Split, name: str, exemplars: int,
        *, declared: bool | None = None, most: int = MAX_THINGS,
    ) -> tuple[str, str, str, list[Picture]]:  # fmt: skip
        """Skill, prompt, target and pictures of a drawn query."""
        asked = make_asked(skill, rng, split, name, 0, most)
        if exemplars and TASKS[asked.query.task].exemplars:
            asked = make_asked(skill, rng, split, name, exemplars, most)
        if declared is None:
            declared = rng.random() >= UNDECLARED_SHARE
        template = rng.choice(self.bank[asked.query.task])
        scheme = FULL_SCHEME if declared else NO_DECLARATION
        rendered = render(asked.query, template, asked.exemplars, scheme=scheme)
        pictures = [asked.pictures[reference] for reference in rendered.images]
        return skill, rendered.prompt, rendered.target, pictures

    def encode(self, rows: Sequence[tuple[str, str, str, list[Picture]]]) -> list[Prompt]:
        """Written queries as token ids and pictures."""
        ids = self.reader.processor.encode(
            [prompt for _, prompt, _, _ in rows], [len(pictures) for *_, pictures in rows]
        )
        return [
            Prompt(list(values), tuple(pictures), target, skill)
            for values, (skill, _, target, pictures) in zip(ids, rows, strict=True)
        ]

    def measure(self, split: Split, count: int = 200) -> dict[str, float]:
        """Share of exactly right answers by skill, in points."""
        found = {}
        for skill in SKILLS:
            prompts = self.make_test(skill, split, count)
            answers = [
                answer
                for start in range(0, count, 50)
                for answer in self.reader.answer(prompts[start : start + 50])
            ]
            pairs = zip(answers, prompts, strict=True)
            found[skill] = 100 * sum(answer == it.target for answer, it in pairs) / count
        return found
