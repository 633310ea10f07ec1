"""MIC data: from Examples and the instruction bank to training samples.

Everything is drawn by hash of (seed, id): which Examples fill a quota, the template, how many
exemplars and which. A dataset's samples therefore do not depend on the order of its Examples, nor
on which other datasets are there.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa

from mmicl.errors import DataError
from mmicl.files import RowWriter, make_table, replace_folder, write_json
from mmicl.mic.chance import draw
from mmicl.mic.exemplars import ExemplarPool, Place
from mmicl.mic.queries import Query, expand
from mmicl.mic.recipe import Recipe
from mmicl.mic.scheme import render
from mmicl.mic.selection import Counts, Survey, draw_queries, survey, take
from mmicl.mic.templates import TASKS
from mmicl.records import Example, Sample

Value = TypeVar("Value")
PARTS = ("pretrain", "pretrain_val", "finetune", "val")
"""In the order in which they are shown."""
PAIRS, HELD_OUT = ("pretrain", "pretrain_val"), ("pretrain_val", "val")
ROWS_A_TASK = 4096
"""Examples or samples of one work that is shared out."""


def build(
    folder: Path, open_examples: Callable[[str], Sequence[Example]], recipe: Recipe
) -> dict[str, Any]:
    """Build all parts: one Parquet file each and manifest.json.

    The folder appears whole or not at all. Rows are sorted by id, and made while they are written:
    a dataset's Examples are open one at a time, and its samples never together in memory.

    - pretrain: training split, quotas `config.pretrain`, no exemplars.
    - pretrain_val: as val, of `config.pretrain`, no exemplars; empty unless
      `recipe.pairs_held_out`.
    - finetune: training split, quotas `config.finetune`, 0 to `max_exemplars` exemplars.
    - val: validation split, `config.validation` samples per dataset of `config.finetune`;
      exemplars from the training split.

    A puzzle of several yes/no questions (RAVEN, Winoground) gives two samples, one of each answer.

    Args:
        folder: Where they go.
        open_examples: Gives the Examples of a dataset by its name, of all splits, in any order.
        recipe: What is made of them.

    Returns:
        The manifest: what was asked, what came out of each dataset, and of what shape it is.

    Raises:
        DataError: A quota asks for samples of a dataset that has no usable Example, or the bank
            has no template for a task.
    """
    parts = {part: Shape() for part, *_ in recipe.plan}
    names = {*recipe.config.pretrain, *recipe.config.finetune}
    with replace_folder(folder) as temporary:
        with ExitStack() as stack:
            writers = {
                part: stack.enter_context(RowWriter(temporary / f"{part}.parquet", Sample))
                for part in parts
            }
            for name in sorted(names, key=lambda name: f"{name}/"):  # as the samples' ids begin
                _build_dataset(name, open_examples(name), recipe, writers, parts)
        config = recipe.config.model_dump()
        told = {part: shape.describe() for part, shape in parts.items()}
        manifest = {"seed": recipe.seed, "build": config, "parts": told}
        write_json(temporary / "manifest.json", manifest)
    return manifest


def _build_dataset(
    name: str,
    examples: Sequence[Example],
    recipe: Recipe,
    writers: Mapping[str, RowWriter[Sample]],
    parts: Mapping[str, "Shape"],
) -> None:
    """Write the samples of one dataset."""
    found = _survey_all(examples, recipe)
    pool = ExemplarPool(examples, found.places)
    for part, split, quotas in recipe.plan:
        if name not in quotas:
            continue
        taken, count = take(found, split, quotas[name], part, recipe.seed)
        if part not in HELD_OUT and count.quota and not taken:
            reasons = "".join(f", {many}: {why}" for why, many in count.dropped.items())
            raise DataError(
                f"{part} asks for {count.quota} samples, but none of its {count.candidates} "
                f"{split} examples can be used{reasons}",
                where=name,
                remedy="deal the dataset out anew (resplit), or set its quota to 0",
            )
        parts[part].datasets[name] = count
        source = Source(part, examples, None if part in PAIRS else pool, recipe)
        for table in _share_out(source.write, taken, recipe):
            writers[part].write_table(table)
            parts[part].count(table)


def _survey_all(examples: Sequence[Example], recipe: Recipe) -> Survey:
    """Look through a dataset."""

    def look(rows: range) -> Survey:
        return survey(examples, rows, recipe)

    whole = Survey()
    for found in _share_out(look, range(len(examples)), recipe):
        whole.add(found)
    return whole


def _share_out(
    work: Callable[[Any], Value], items: Sequence[Any], recipe: Recipe
) -> Iterator[Value]:
    """What the work gives for each `ROWS_A_TASK` of the items, in their order."""
    works = [items[at : at + ROWS_A_TASK] for at in range(0, len(items), ROWS_A_TASK)]
    yield from recipe.share(work, works)


@dataclass(frozen=True)
class Source:
    """What the samples of one dataset in one part are written from.

    `pool` is None where they have no exemplars.
    """

    part: str
    examples: Sequence[Example]
    pool: ExemplarPool | None
    recipe: Recipe

    def write(self, places: Sequence[Place]) -> pa.Table:
        """The samples of some queries."""
        seed = self.recipe.seed
        queries = (draw_queries(expand(self.examples[it.row]), seed)[it.number] for it in places)
        return make_table((self._write(query) for query in queries), Sample)

    def _write(self, query: Query) -> Sample:
        """One sample: draw template and exemplars, render."""
        config, seed = self.recipe.config, self.recipe.seed
        template = self.recipe.pick_template(query)
        exemplars: list[Query] = []
        if self.pool is not None and TASKS[query.task].exemplars:
            number = draw(config.max_exemplars + 1, "exemplars", seed, query.id)
            exemplars = self.pool.choose(query, number, seed)
        rendered = render(
            query, template, exemplars, scheme=config.scheme, budget=self.recipe.budget
        )
        return Sample(
            id=f"{self.part}/{query.id}", source=query.source, dataset=query.dataset,
            split=query.split, task=query.task, images=rendered.images, prompt=rendered.prompt,
            target=rendered.target, template=template.id, exemplars=rendered.exemplars,
            group=query.group,
        )  # fmt: skip


@dataclass
class Shape:
    """The samples of a part, counted."""

    samples: int = 0
    images: Counter[int] = field(default_factory=Counter)
    exemplars: Counter[int] = field(default_factory=Counter)
    templates: Counter[str] = field(default_factory=Counter)
    datasets: dict[str, Counts] = field(default_factory=dict)

    def count(self, table: pa.Table) -> None:
        """Take samples into account."""
        self.samples += table.num_rows
        self.images.update(map(len, table.column("images").to_pylist()))
        self.exemplars.update(map(len, table.column("exemplars").to_pylist()))
        self.templates.update(table.column("template").to_pylist())

    def describe(self) -> dict[str, Any]:
        """As the manifest tells it."""
        return {
            "samples": self.samples,
            "images_per_sample": _tally(self.images),
            "exemplars_per_sample": _tally(self.exemplars),
            "templates": _tally(self.templates),
            "datasets": {
                name: {**vars(count), "dropped": dict(sorted(count.dropped.items()))}
                for name, count in self.datasets.items()
            },
        }


def _tally(numbers: Mapping[Any, int]) -> dict[str, int]:
    return {str(value): number for value, number in sorted(numbers.items())}
