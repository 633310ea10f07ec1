"""From test Examples to the requests of a benchmark, and of its controls over pictures.

Everything is drawn by hash of (seed, id), so a request does not depend on the limit, nor on what
else is asked.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from mmicl.benchmarks.benchmark import Benchmark
from mmicl.config import Scheme
from mmicl.errors import DataError, UserError
from mmicl.mic.budget import WHOLE, Budget
from mmicl.mic.chance import draw, rank
from mmicl.mic.exemplars import ExemplarPool
from mmicl.mic.scheme import find_fault, render
from mmicl.mic.templates import TASKS, pick_template
from mmicl.records import BLANK_IMAGE, Example, Request, Template, split_reference

Asked = tuple[Example, tuple[Request, ...]]
"""An Example and its requests, in the order of its benchmark's questions."""


@dataclass(frozen=True)
class Protocol:
    """How a benchmark's requests are written.

    Attributes:
        benchmark: What is asked.
        bank: Task -> instructions.
        scheme: The context scheme's switches.
        shots: Worked examples before each question.
        seed: Of every draw.
        entry: The name in params, where it is not the benchmark's own.
        draw: Which draw of the worked examples; all else is the same in all of them.
        budget: What a prompt may hold, as in training.
    """

    benchmark: Benchmark
    bank: Mapping[str, list[Template]]
    scheme: Scheme
    shots: int
    seed: int
    entry: str = ""
    draw: int = 0
    budget: Budget = WHOLE

    @property
    def name(self) -> str:
        """What requests and scores are filed under."""
        return self.entry or self.benchmark.name

    @property
    def exemplar_seed(self) -> int:
        """The seed of the worked examples; that of the first draw is the seed itself."""
        return draw(2**31, "exemplars", self.seed, self.draw) if self.draw else self.seed

    def pick_template(self, example: Example, task: str) -> Template:
        """The template of all questions of an Example, whose scores are compared."""
        return pick_template(self.bank, task, self.seed, example.id)


@dataclass
class Chosen:
    """The Examples that are asked, by id, and how many could not be, by reason."""

    examples: list[Example] = field(default_factory=list)
    excluded: Counter[str] = field(default_factory=Counter)


def choose_examples(protocol: Protocol, examples: Sequence[Example], limit: int) -> Chosen:
    """Take whole groups of the test split in seeded order, `limit` Examples at the most.

    Where there is no test split it is the benchmark's own. Groups that would exceed the limit are
    passed over for smaller ones.

    Raises:
        DataError: There is no such Example, one is of another task, or none can be asked.
        UserError: Every group is larger than the limit.
    """
    benchmark, seed = protocol.benchmark, protocol.seed
    chosen, groups = Chosen(), defaultdict(list)
    split = "test" if any(one.split == "test" for one in examples) else benchmark.split
    for official in examples:
        if official.split != split:
            continue
        if official.task != benchmark.task:
            message = f"task {official.task}, but {benchmark.name} asks {benchmark.task}"
            raise DataError(message, where=official.id)
        example = benchmark.recast(official)
        if example is None:
            chosen.excluded["left out by the official score"] += 1
            continue
        if faults := _find_faults(protocol, example):
            chosen.excluded[min(faults)] += 1
        else:
            groups[example.group].append(example)
    if not groups:
        raise DataError(
            f"no Example of the {split} split can be asked",
            where=f"benchmark {benchmark.name}",
            remedy="check evaluate.benchmarks and the dataset's resplit",
        )
    for group in sorted(groups, key=lambda name: rank("benchmark", seed, benchmark.name, name)):
        if len(chosen.examples) + len(groups[group]) <= limit:
            chosen.examples += groups[group]
    if not chosen.examples:
        raise UserError(
            f"limit {limit} is smaller than every group of items that stay together",
            where=f"evaluate.benchmarks.{benchmark.name}",
            remedy=f"set limit to {min(map(len, groups.values()))} or more",
        )
    chosen.examples.sort(key=lambda example: example.id)
    return chosen


def _find_faults(protocol: Protocol, example: Example) -> set[str]:
    """Why an Example cannot be asked; it need have no target."""
    queries = protocol.benchmark.ask(example)
    template = None
    if protocol.budget.max_tokens is not None:
        template = protocol.pick_template(example, queries[0].task)
    faults = {find_fault(query, protocol.scheme, protocol.budget, template) for query in queries}
    return faults - {"", "no target"}


def write_requests(
    protocol: Protocol,
    examples: Sequence[Example],
    pool: ExemplarPool,
    pictures: Mapping[str, tuple[str, ...]] | None = None,
    *,
    text_only: bool = False,
) -> list[Asked]:
    """Write the requests of Examples.

    All questions of one Example share template and exemplars' seed, since their scores are
    compared. Exemplars come from the training split (`mic.exemplars`).

    Args:
        protocol: How.
        examples: What is asked.
        pool: Where exemplars come from.
        pictures: Example id -> the images to show instead of its own (`shuffle_pictures`); all
            else stays as it is.
        text_only: Show no image and declare none (`mic.scheme`); all else stays as it is.

    Raises:
        UserError: Shots are asked of a benchmark that can have no exemplars.
    """
    benchmark, shots = protocol.benchmark, protocol.shots
    if shots and (not len(pool) or not TASKS[benchmark.task].exemplars):
        raise UserError(
            f"{shots} shots, but there is no training split to take exemplars from"
            if TASKS[benchmark.task].exemplars
            else f"{shots} shots, but this task takes no exemplars",
            where=f"evaluate.benchmarks.{protocol.name}",
            remedy="set shots to 0",
        )
    asked = []
    for example in examples:
        queries = benchmark.ask(example)
        template = protocol.pick_template(example, queries[0].task)
        shown = example
        if pictures is not None:
            shown = example.model_copy(update={"images": pictures[example.id]})
        requests = []
        for own, query in zip(queries, benchmark.ask(shown), strict=True):
            exemplars = pool.choose(own, shots, protocol.exemplar_seed) if shots else []
            rendered = render(
                query,
                template,
                exemplars,
                scheme=protocol.scheme,
                budget=protocol.budget,
                text_only=text_only,
            )
            meta = {"template": template.id, "exemplars": list(rendered.exemplars)}
            request = Request(
                id=f"{protocol.name}/{query.id}", benchmark=protocol.name, item=example.id,
                group=example.group, kind=query.kind, images=rendered.images,
                prompt=rendered.prompt, candidates=rendered.candidates, target=rendered.target,
                meta=json.dumps(meta, sort_keys=True),
            )  # fmt: skip
            requests.append(request)
        asked.append((example, tuple(requests)))
    return asked


def blank_pictures(asked: Sequence[Asked]) -> list[Asked]:
    """The same requests with every picture, of exemplars too, replaced by the grey one."""
    return [
        (
            example,
            tuple(
                request.model_copy(update={"images": (BLANK_IMAGE,) * len(request.images)})
                for request in requests
            ),
        )
        for example, requests in asked
    ]


def shuffle_pictures(examples: Sequence[Example], seed: int) -> dict[str, tuple[str, ...]]:
    """Give every Example the pictures of another one with as many.

    Each Example's pictures go to exactly one other. They are never those of its own group, nor of
    one that shows the same pictures (two sentences of one NLVR2 pair), unless such groups together
    hold more than half of the Examples with that many pictures.

    Returns:
        Example id -> images.
    """
    classes: dict[int, list[Example]] = defaultdict(list)
    for example in examples:
        classes[len(example.images)].append(example)
    dealt = {}
    for members in classes.values():
        kin = _join_groups(members)
        members.sort(key=lambda one: (rank("shuffle", seed, kin[one.group]), rank(seed, one.id)))
        # Kin lie side by side, so a shift by the largest family leads out of every family.
        shift = max(Counter(kin[one.group] for one in members).values()) % len(members) or 1
        for place, example in enumerate(members):
            dealt[example.id] = members[(place + shift) % len(members)].images
    return dealt


def _join_groups(examples: Sequence[Example]) -> dict[str, str]:
    """Group -> the first of all groups that are tied to it by an Example of the same pictures."""
    first: dict[str, str] = {}

    def find(name: str) -> str:
        while first.setdefault(name, name) != name:
            name = first[name]
        return name

    for example in examples:
        pictures = sorted({split_reference(reference)[0] for reference in example.images})
        one, other = find(example.group), find(f"pictures {' '.join(pictures)}")
        first[max(one, other)] = min(one, other)
    return {example.group: find(example.group) for example in examples}
