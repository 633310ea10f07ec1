"""T5 on text: the instruction bank's prompts, each image's slots filled by its description.

A slot is the sum of its phrase's word embeddings, from the model's own table, made as long as one
word's, with a little noise: what the projection will hand over later is never exact.

The answer alone teaches too slowly: one word a prompt, and nothing for a lookup until all its steps
are there. So the encoder is also asked, at every slot, for what an answer is found by
(`mmicl.train.tiny.marks`). After 2.5 minutes of one core, questions about one image were answered
right in 62 % of the cases, without those questions in 44 %.

They also showed what was missing: after 2,000 steps the image of a slot was still told no better
than by chance, since T5's position biases start near zero and Adam moves them slowly. Two of the
encoder's heads therefore start as a look to the near left and the near right (`look_nearby`); the
slots then knew their image after 200 steps.
"""

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from mmicl.config import Scheme
from mmicl.mic.queries import Query
from mmicl.mic.scheme import FULL_SCHEME, REFERENCE, render
from mmicl.mic.templates import TASKS
from mmicl.records import Split, Template
from mmicl.train.tiny.loop import find_share
from mmicl.train.tiny.marks import Marks
from mmicl.train.tiny.packed import PackedT5, group_rows
from mmicl.train.tiny.prompts import Prompt
from mmicl.train.tiny.tasks import SKILLS, make_asked
from mmicl.world.description import Picture, describe
from mmicl.world.scenes import MAX_THINGS

if TYPE_CHECKING:
    from transformers import Blip2ForConditionalGeneration

    from mmicl.model.processor import MmiclProcessor

NOISE = 0.3
"""Standard deviation, relative to the slots' own."""
ROWS_A_GROUP = 16
"""Prompts of like length that attention looks at together."""
NEAR, FAR_BIAS = 8, -6.0
"""What `look_nearby` calls near, in tokens (exclusive), and the bias of all that is not."""
REPORTED = ("vqa", "mme", "several", "nlvr", "vcr", "labels", "winoground", "raven")
"""Skills whose loss is told while training."""
CAPTION = re.compile(r"\bcaption (\d)\b")
NO_DECLARATION = Scheme(declaration=False, in_context=True, interrelated=True)
UNDECLARED_SHARE = 0.05

STAGES: tuple[tuple[float, dict[str, float]], ...] = (
    (0.12, {"caption": 1, "vqa": 5, "pope": 1, "mme": 1.5, "scienceqa": 1, "region": 0.3,
            "several": 1.5}),
    (0.4, {"caption": 0.8, "vqa": 4, "pope": 0.5, "mme": 1, "scienceqa": 0.7, "region": 0.2,
           "several": 3, "which": 1.2, "labels": 1, "sequence": 0.7, "nlvr": 1.5, "vcr": 0.8,
           "winoground": 0.5}),
    (1.0, {"caption": 0.6, "vqa": 3, "pope": 0.3, "mme": 4, "scienceqa": 0.5, "region": 0.1,
           "several": 1.8, "which": 0.5, "labels": 1.5, "sequence": 0.6, "nlvr": 2, "vcr": 1.5,
           "winoground": 2.5, "raven": 1.5}),
)  # fmt: skip
"""The curriculum: up to a share of the steps, how often each skill is drawn."""
THINGS = ((0.02, 1), (0.05, 2))
"""Up to a share of the steps, scenes have at most so many things. Copying what a single slot says
is learnt in 200 steps, and looking up the right slot grows from it."""
EXEMPLARS = (0.85, 0.1, 0.05)
"""How often none, one or two worked examples come first, from the second stage on."""


class Reader(nn.Module):
    """A model's language half, reading descriptions in the place of images."""

    def __init__(self, model: "Blip2ForConditionalGeneration", processor: "MmiclProcessor") -> None:
        super().__init__()
        self.language_model = model.language_model
        self.processor = processor
        self.packed = PackedT5(model.language_model)  # type: ignore[arg-type]
        width = model.language_model.config.d_model
        self.marks = Marks(width, self.list_tokens, processor.num_query_tokens)
        self._phrases: dict[str, list[int]] = {}

    def embed(self, prompts: Sequence[Prompt]) -> dict[str, Tensor]:
        """`inputs_embeds` [prompts, tokens, width] and `attention_mask` [prompts, tokens]."""
        batch = self.processor.pad([prompt.ids for prompt in prompts])
        embeddings = self.language_model.get_input_embeddings()(batch["input_ids"])
        slots = self.fill_slots([picture for prompt in prompts for picture in prompt.pictures])
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
        rows = [self.list_tokens(phrase) for phrase in phrases]
        offsets = torch.tensor([0, *map(len, rows)]).cumsum(0)[:-1]
        flat = torch.tensor([token for row in rows for token in row])
        table = self.language_model.get_input_embeddings().weight
        sums = functional.embedding_bag(flat, table, offsets, mode="sum")
        return sums / torch.tensor([len(row) for row in rows]).sqrt().unsqueeze(1)

    def forward(
        self, prompts: Sequence[Prompt], noise: torch.Generator | None
    ) -> tuple[Tensor, Tensor]:
        """Losses of prompts, best sorted by length.

        Returns:
            The loss of each target, averaged over its tokens, [prompts]; and the loss at the slots.
        """
        table = self.language_model.get_input_embeddings().weight
        groups = group_rows([len(prompt.ids) for prompt in prompts], ROWS_A_GROUP)
        ids = torch.tensor([token for prompt in prompts for token in prompt.ids])
        slots = self.fill_slots([picture for prompt in prompts for picture in prompt.pictures])
        if noise is not None:
            deviation = NOISE * slots.detach().std()
            slots = slots + deviation * torch.randn(slots.shape, generator=noise)
        places = (ids == self.processor.placeholder_id).nonzero().flatten()
        states, before = self.packed.encode(table[ids].index_copy(0, places, slots), groups)

        rows = self.processor.tokenizer([prompt.target for prompt in prompts]).input_ids
        targets = group_rows([len(row) for row in rows], ROWS_A_GROUP)
        start = self.language_model.config.decoder_start_token_id
        given = torch.tensor([token for row in rows for token in (start, *row[:-1])])
        logits = self.packed.decode(table[given], targets, states, groups)
        wanted = torch.tensor([token for row in rows for token in row])
        losses = functional.cross_entropy(logits, wanted, reduction="none")
        owners = torch.tensor([place for place, row in enumerate(rows) for _ in row])
        sums = torch.zeros(len(rows)).index_add(0, owners, losses)
        lengths = torch.tensor([len(row) for row in rows])
        return sums / lengths, self.marks(prompts, places, before, states)

    def list_tokens(self, text: str) -> list[int]:
        """Token ids of a phrase or an answer, kept for the next time."""
        if text not in self._phrases:
            ids = self.processor.tokenizer(text, add_special_tokens=False).input_ids
            self._phrases[text] = list(ids)
        return self._phrases[text]

    @torch.inference_mode()
    def answer(self, prompts: Sequence[Prompt]) -> list[str]:
        """Greedy answers."""
        ids = self.language_model.generate(**self.embed(prompts), max_new_tokens=24)
        return self.processor.decode(ids)


def find_claim(query: Query) -> str:
    """What the answer hangs on: the caption that is asked about, or else the question."""
    asked = CAPTION.search(query.question)
    return query.choices[int(asked.group(1))] if asked else query.question


def look_nearby(model: "Blip2ForConditionalGeneration") -> None:
    """Let two encoder heads start as a look to the near left and to the near right.

    T5's buckets 1 to 7 stand for so many tokens to the left, those behind the first half for the
    right; one bias serves all layers.
    """
    table = model.language_model.encoder.block[0].layer[0].SelfAttention.relative_attention_bias  # type: ignore[union-attr]
    half = table.num_embeddings // 2
    with torch.no_grad():
        table.weight[:, :2] = FAR_BIAS
        table.weight[1:NEAR, 0] = 0.0
        table.weight[half + 1 : half + NEAR, 1] = 0.0


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
        """Mean over the prompts of their mean token loss, plus the loss at the slots."""
        own, processes = find_share()
        noise = torch.Generator().manual_seed((self.seed * 1_000_003 + step) * processes + own)
        prompts = sorted(self.make_batch(step), key=lambda prompt: len(prompt.ids))
        prompts = prompts[own::processes]
        losses, slots = self.reader(prompts, noise)
        figures = {"slots": slots.item()}
        for skill in REPORTED:
            chosen = [place for place, prompt in enumerate(prompts) if prompt.skill == skill]
            if chosen:
                figures[skill] = losses.detach()[chosen].mean().item()
        return losses.mean() + slots, figures

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
    ) -> tuple[str, Prompt]:  # fmt: skip
        """Draw a query: its text, and all but that text's token ids."""
        asked = make_asked(skill, rng, split, name, 0, most)
        if exemplars and TASKS[asked.query.task].exemplars:
            asked = make_asked(skill, rng, split, name, exemplars, most)
        if declared is None:
            declared = rng.random() >= UNDECLARED_SHARE
        template = rng.choice(self.bank[asked.query.task])
        scheme = FULL_SCHEME if declared else NO_DECLARATION
        rendered = render(asked.query, template, asked.exemplars, scheme=scheme)
        pictures = [asked.pictures[reference] for reference in rendered.images]
        base = len(pictures) - len(asked.query.images)
        named = frozenset(base + int(k) for k in REFERENCE.findall(asked.query.question))
        shown = enumerate(asked.query.before, start=base - len(asked.query.before))
        sources = frozenset(place for place, one in shown if one.target == asked.query.target)
        prompt = Prompt(
            [], tuple(pictures), rendered.target, skill, named, sources,
            find_claim(asked.query), asked.solution,
        )  # fmt: skip
        return rendered.prompt, prompt

    def encode(self, rows: Sequence[tuple[str, Prompt]]) -> list[Prompt]:
        """Prompts with the token ids of their texts."""
        ids = self.reader.processor.encode(
            [text for text, _ in rows], [len(prompt.pictures) for _, prompt in rows]
        )
        return [
            replace(prompt, ids=list(values)) for values, (_, prompt) in zip(ids, rows, strict=True)
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
