"""What T5 reads, step by step: prompts of every skill by a curriculum, and how it is measured."""

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from mmicl.mic.queries import Query
from mmicl.mic.scheme import FULL_SCHEME, REFERENCE, render
from mmicl.mic.templates import TASKS
from mmicl.records import Split, Template
from mmicl.train.tiny.labels import Labeler
from mmicl.train.tiny.language import Reader, ReadingBatch
from mmicl.train.tiny.loop import find_share
from mmicl.train.tiny.prompts import Prompt
from mmicl.train.tiny.tasks import SKILLS, make_asked
from mmicl.world.language import write_panel_captions
from mmicl.world.matrices import Panel
from mmicl.world.scenes import MAX_THINGS

REPORTED = (
    "caption", "panel", "vqa", "mme", "several", "nlvr", "vcr", "labels", "winoground", "raven"
)  # fmt: skip
"""Skills whose loss is told while training."""
CAPTION = re.compile(r"\bcaption (\d)\b")
NO_DECLARATION = FULL_SCHEME.model_copy(update={"declaration": False})
UNDECLARED_SHARE = 0.05

STAGES: tuple[tuple[float, dict[str, float]], ...] = (
    (0.1, {"caption": 1, "panel": 0.5, "vqa": 5, "pope": 1, "mme": 1.5, "scienceqa": 1,
           "region": 0.3, "several": 1.5}),
    (0.3, {"caption": 0.8, "panel": 0.5, "vqa": 4, "pope": 0.5, "mme": 1.5, "scienceqa": 0.7,
           "region": 0.2, "several": 3, "which": 1.2, "labels": 2, "sequence": 0.7, "nlvr": 1.5,
           "vcr": 0.8, "winoground": 1, "raven": 2}),
    (1.0, {"caption": 1.5, "panel": 1.5, "vqa": 3, "pope": 0.3, "mme": 3, "scienceqa": 0.5,
           "region": 0.1, "several": 2, "which": 0.5, "labels": 2.5, "sequence": 0.6, "nlvr": 2,
           "vcr": 2, "winoground": 5, "raven": 5}),
)  # fmt: skip
"""The curriculum: up to a share of the steps, how often each skill is drawn."""
THINGS = ((0.02, 1), (0.05, 2))
"""Up to a share of the steps, scenes have at most so many things. Copying what a single slot says
is learnt in 200 steps, and looking up the right slot grows from it."""
PLAIN = 0.6
"""Up to this share of the steps no prompt has worked examples."""
EXEMPLARS = (0.7, 0.2, 0.1)
"""How often none, one or two worked examples come first, after that."""


def find_claim(query: Query) -> str:
    """What the answer hangs on: the caption that is asked about, or else the question."""
    asked = CAPTION.search(query.question)
    return query.choices[int(asked.group(1))] if asked else query.question


def list_right(prompt: Prompt) -> list[str]:
    """The answers that are right, as far as they can be listed."""
    asked = prompt.pictures[-1]  # those of worked examples come before it
    if prompt.skill == "panel" and isinstance(asked, Panel):
        return write_panel_captions(asked)
    return [prompt.target]


class ReadingTask:
    """Batches of prompts and their loss: a pure function of (seed, step).

    Args:
        reader: Who reads.
        bank: Instructions by task.
        seed: Of the prompts.
        steps: How many there will be; the curriculum goes by the share of them that is done.
        batch_size: Prompts a step, of all processes together.
    """

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
        self.labeler = Labeler(reader.list_tokens, reader.processor.num_query_tokens)
        self.seed, self.steps, self.batch_size = seed, steps, batch_size

    def make(self, step: int) -> ReadingBatch:
        """This process's share of a step, sorted by length."""
        prompts = sorted(self.make_batch(step), key=lambda prompt: len(prompt.ids))
        own, processes = find_share()
        prompts = prompts[own::processes]
        return self.reader.collate(prompts, self.labeler.label(prompts))

    def loss(self, step: int, batch: ReadingBatch) -> tuple[Tensor, dict[str, Tensor]]:
        """Mean over the prompts of their mean token loss, plus that of the marks."""
        own, processes = find_share()
        drawn_from = self.seed * 1_000_003 + step
        noise = torch.Generator().manual_seed(drawn_from * processes + own)
        losses, marks = self.reader(batch, noise)
        skills = torch.from_numpy(batch.skills).to(losses.device)
        counts = np.bincount(batch.skills, minlength=len(SKILLS)).clip(1)
        sums = losses.new_zeros(len(SKILLS)).index_add(0, skills, losses.detach())
        means = sums / torch.from_numpy(counts).to(losses.device)
        drawn = [SKILLS[number] for number in sorted(set(batch.skills.tolist()))]
        figures = {name: means[SKILLS.index(name)] for name in drawn if name in REPORTED}
        return losses.mean() + marks, {"marks": marks.detach(), **figures}

    def make_batch(self, step: int) -> list[Prompt]:
        """The prompts of a step, by the curriculum."""
        rng = random.Random(f"{self.seed}/language/{step}")
        share = step / self.steps
        weights = next(weights for end, weights in STAGES if share < end)
        most = next((most for end, most in THINGS if share < end), MAX_THINGS)
        skills = rng.choices(list(weights), list(weights.values()), k=self.batch_size)
        rows = []
        for place, skill in enumerate(skills):
            exemplars = 0 if share < PLAIN else rng.choices(range(len(EXEMPLARS)), EXEMPLARS)[0]
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
        """Share of exactly right answers by skill, in points; of a panel's captions any will do."""
        found = {}
        for skill in SKILLS:
            prompts = self.make_test(skill, split, count)
            answers = [
                answer
                for start in range(0, count, 50)
                for answer in self.reader.answer(prompts[start : start + 50])
            ]
            pairs = zip(answers, prompts, strict=True)
            found[skill] = 100 * sum(answer in list_right(it) for answer, it in pairs) / count
        return found
