"""MIC data: from Examples and the instruction bank to training samples.

Everything is drawn by hash of (seed, id): which Examples fill a quota, the template, how many
exemplars and which. A dataset's samples therefore do not depend on the order of its Examples, nor
on which other datasets are there.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmicl.config import Build
from mmicl.errors import DataError
from mmicl.files import replace_folder, write_json, write_rows
from mmicl.mic.chance import draw, rank
from mmicl.mic.exemplars import ExemplarPool
from mmicl.mic.queries import YES_NO, Query, expand
from mmicl.mic.scheme import find_fault, render
from mmicl.mic.templates import TASKS, pick_template
from mmicl.records import Example, Sample, Split, Template, split_reference

Bank = Mapping[str, list[Template]]
HeldOut = Mapping[Split, frozenset[str]]
"""Split -> pictures (sha256) that no sample of it may show."""
PARTS = ("pretrain", "finetune", "val")


@dataclass
class Counts:
    """What became of one dataset's Examples in one part.

    `candidates` = `dropped` + `not_drawn` + `taken` (Examples); `samples` are the rows written,
    more than `taken` where a puzzle gives two.
    """

    quota: int
    candidates: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    not_drawn: int = 0
    taken: int = 0
    samples: int = 0


@dataclass(frozen=True)
class Built:
    """The samples of each part of `PARTS`, sorted by id, and the manifest."""

    samples: dict[str, list[Sample]]
    manifest: dict[str, Any]


def find_held_out(examples: Iterable[Example]) -> HeldOut:
    """The pictures (sha256) that no sample of a split may show, whatever its dataset.

    Training shows none of a validation or test split, validation none of a test split: one photo
    can serve a caption to train on and a question to be tested with, and where test answers are
    hidden it is the validation split that benchmarks ask. Panels of matrices are left out: they are
    symbols, and the same one rightly turns up in many puzzles.
    """
    shown: dict[Split, set[str]] = {"train": set(), "val": set(), "test": set()}
    for example in examples:
        if example.task != "raven":
            shown[example.split].update(split_reference(image)[0] for image in example.images)
    return {"train": frozenset(shown["val"] | shown["test"]), "val": frozenset(shown["test"])}


def build(
    examples: Mapping[str, Iterable[Example]],
    bank: Bank,
    config: Build,
    seed: int,
    held_out: HeldOut | None = None,
) -> Built:
    """Build all parts.

    - pretrain: training split, quotas `config.pretrain`, no exemplars.
    - finetune: training split, quotas `config.finetune`, 0 to `max_exemplars` exemplars.
    - val: validation split, `config.validation` samples per dataset of `config.finetune`;
      exemplars from the training split.

    A puzzle of several yes/no questions (RAVEN, Winoground) gives two samples, one of each answer.

    Args:
        examples: Dataset name -> its Examples, of all splits, in any order.
        bank: Task -> templates.
        config: Quotas, budget and switches.
        seed: Of every draw.
        held_out: Pictures that neither queries nor exemplars may show (`find_held_out`).

    Raises:
        DataError: A quota asks for samples of a dataset that has no usable Example, or the bank
            has no template for a task.
    """
    plan: list[tuple[str, Split, dict[str, int]]] = [
        ("pretrain", "train", config.pretrain),
        ("finetune", "train", config.finetune),
        ("val", "val", dict.fromkeys(config.finetune, config.validation)),
    ]
    samples: dict[str, list[Sample]] = {part: [] for part in PARTS}
    counts: dict[str, dict[str, Counts]] = {part: {} for part in PARTS}
    for name in sorted({*config.pretrain, *config.finetune}):
        rows, shown = _part_by_pictures(examples[name], held_out or {})
        pool = ExemplarPool(rows if config.scheme.in_context else ())
        for part, split, quotas in plan:
            if name not in quotas:
                continue
            count = Counts(quotas[name])
            if number := sum(row.split == split for row in shown):
                count.candidates += number
                count.dropped["picture_held_out"] += number
            queries = _take([row for row in rows if row.split == split], count, part, config, seed)
            if part != "val" and count.quota and not queries:
                reasons = "".join(f", {many}: {why}" for why, many in count.dropped.items())
                raise DataError(
                    f"{part} asks for {count.quota} samples, but none of its {count.candidates} "
                    f"{split} examples can be used{reasons}",
                    where=name,
                    remedy="deal the dataset out anew (resplit), or set its quota to 0",
                )
            exemplars = None if part == "pretrain" else pool
            samples[part] += [
                _write(query, part, bank, exemplars, config, seed) for query in queries
            ]
            counts[part][name] = count
    for rows in samples.values():
        rows.sort(key=lambda sample: sample.id)
    return Built(samples, _describe(samples, counts, config, seed))


def write_built(folder: Path, built: Built) -> None:
    """Write one Parquet file a part and manifest.json; the folder appears whole or not at all."""
    with replace_folder(folder) as temporary:
        for part, rows in built.samples.items():
            write_rows(temporary / f"{part}.parquet", rows, Sample)
        write_json(temporary / "manifest.json", built.manifest)


def _part_by_pictures(
    examples: Iterable[Example], held_out: HeldOut
) -> tuple[list[Example], list[Example]]:
    """Examples that show no picture held out from their split, and those that do."""
    parts: tuple[list[Example], list[Example]] = ([], [])
    for example in examples:
        barred = held_out.get(example.split, frozenset())
        shows = any(split_reference(image)[0] in barred for image in example.images)
        parts[shows].append(example)
    return parts


def _take(
    examples: list[Example], count: Counts, part: str, config: Build, seed: int
) -> list[Query]:
    """The queries that fill a quota, and what became of the rest (into `count`)."""
    usable: list[tuple[str, list[Query]]] = []
    for example in examples:
        count.candidates += 1
        queries = _training_queries(example, seed)
        faults = {find_fault(query, config.scheme, config.max_images) for query in queries} - {""}
        if faults:
            count.dropped[min(faults)] += 1
        else:
            usable.append((rank("take", seed, part, example.id), queries))
    usable.sort(key=lambda item: item[0])
    taken: list[Query] = []
    for _, queries in usable:
        if len(taken) + len(queries) <= count.quota:
            taken += queries
            count.taken += 1
        else:
            count.not_drawn += 1
    count.samples = len(taken)
    return taken


def _training_queries(example: Example, seed: int) -> list[Query]:
    """An Example's queries; of several yes/no questions one with each answer, so that they balance.

    A RAVEN puzzle has one right panel and seven wrong ones: taken whole, "no" would be right in
    seven of eight.
    """
    queries = expand(example)
    if len(queries) == 1:
        return queries
    balanced = []
    for answer in YES_NO:
        same = [query for query in queries if query.target == answer]
        balanced.append(same[draw(len(same), "balance", seed, answer, example.id)])
    return balanced


def _write(
    query: Query, part: str, bank: Bank, pool: ExemplarPool | None, config: Build, seed: int
) -> Sample:
    """One sample: draw template and exemplars, render."""
    template = pick_template(bank, query.task, seed, query.id)
    exemplars: list[Query] = []
    if pool is not None and TASKS[query.task].exemplars:
        number = draw(config.max_exemplars + 1, "exemplars", seed, query.id)
        exemplars = pool.choose(query, number, seed)
    rendered = render(
        query, template, exemplars, scheme=config.scheme, max_images=config.max_images
    )
    return Sample(
        id=f"{part}/{query.id}", source=query.source, dataset=query.dataset, split=query.split,
        task=query.task, images=rendered.images, prompt=rendered.prompt, target=rendered.target,
        template=template.id, exemplars=rendered.exemplars, group=query.group,
    )  # fmt: skip


def _describe(
    samples: Mapping[str, list[Sample]],
    counts: Mapping[str, Mapping[str, Counts]],
    config: Build,
    seed: int,
) -> dict[str, Any]:
    """The manifest: what was asked, what came out of each dataset, and of what shape it is."""

    def tally(values: Iterable[int | str]) -> dict[str, int]:
        return {str(value): number for value, number in sorted(Counter(values).items())}

    parts = {
        part: {
            "samples": len(rows),
            "images_per_sample": tally(len(row.images) for row in rows),
            "exemplars_per_sample": tally(len(row.exemplars) for row in rows),
            "templates": tally(row.template for row in rows),
            "datasets": {
                name: {**vars(count), "dropped": dict(sorted(count.dropped.items()))}
                for name, count in counts[part].items()
            },
        }
        for part, rows in samples.items()
    }
    return {"seed": seed, "build": config.model_dump(), "parts": parts}
