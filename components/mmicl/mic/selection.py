"""Which Examples of a dataset become samples: what can be asked, and what is drawn of it.

Examples are looked at one by one and let go again; what is kept of each is a name and a place.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import pyarrow as pa

from mmicl.config import Quota
from mmicl.mic.chance import draw, rank
from mmicl.mic.exemplars import Place, find_places
from mmicl.mic.queries import YES_NO, Query, expand
from mmicl.mic.recipe import HeldOut, Recipe
from mmicl.records import Example, Split, split_reference

SPLITS: tuple[Split, ...] = ("train", "val")
"""Those that samples are built from."""
SHOWN = ("task", "split", "images")
"""Columns of an Example that tell which pictures are shown where."""


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


class Usable(NamedTuple):
    """An Example that can be asked: its id, its row and the ids of its training queries."""

    id: str
    row: int
    queries: tuple[str, ...]


@dataclass
class Survey:
    """What a dataset, or a part of it, has to offer.

    Attributes:
        usable: The Examples that can be asked, by split.
        dropped: Why others cannot, counted, by split.
        places: The queries that may stand before others as worked examples.
    """

    usable: dict[Split, list[Usable]] = field(default_factory=lambda: {name: [] for name in SPLITS})
    dropped: dict[Split, Counter[str]] = field(
        default_factory=lambda: {name: Counter() for name in SPLITS}
    )
    places: list[Place] = field(default_factory=list)

    def add(self, other: "Survey") -> None:
        """Take in what another part of the dataset has to offer."""
        for split in SPLITS:
            self.usable[split] += other.usable[split]
            self.dropped[split] += other.dropped[split]
        self.places += other.places


def find_held_out(tables: Iterable[pa.Table]) -> HeldOut:
    """The pictures (sha256) that no sample of a split may show, whatever its dataset.

    Training shows none of a validation or test split, validation none of a test split: one photo
    can serve a caption to train on and a question to be tested with, and where test answers are
    hidden it is the validation split that benchmarks ask. Panels of matrices are left out: they are
    symbols, and the same one rightly turns up in many puzzles.

    Args:
        tables: Columns `SHOWN` of the Examples of each dataset.
    """
    shown: dict[str, set[str]] = {"val": set(), "test": set()}
    for table in tables:
        for batch in table.select(SHOWN).to_batches():
            for row in batch.to_pylist():
                if row["task"] != "raven" and row["split"] in shown:
                    known = shown[row["split"]]
                    known.update(split_reference(image)[0] for image in row["images"])
    return {"train": frozenset(shown["val"] | shown["test"]), "val": frozenset(shown["test"])}


def survey(examples: Sequence[Example], rows: range, recipe: Recipe) -> Survey:
    """Look through some rows of a dataset."""
    found, scheme = Survey(), recipe.config.scheme
    for row, example in zip(rows, examples[rows.start : rows.stop], strict=True):
        if example.split not in SPLITS:
            continue
        barred = recipe.held_out.get(example.split, frozenset())
        if any(split_reference(image)[0] in barred for image in example.images):
            found.dropped[example.split]["picture_held_out"] += 1
            continue
        queries = expand(example)
        if scheme.in_context:
            found.places += find_places(queries, row, scheme, recipe.budget)
        asked = draw_queries(queries, recipe.seed)
        faults = {recipe.find_fault(query) for query in asked} - {""}
        if faults:
            found.dropped[example.split][min(faults)] += 1
        else:
            names = tuple(query.id for query in asked)
            found.usable[example.split].append(Usable(example.id, row, names))
    return found


def draw_queries(queries: list[Query], seed: int) -> list[Query]:
    """Those of an Example's queries that a model is trained on.

    Of several yes/no questions it is one with each answer, so that they balance: a RAVEN puzzle has
    one right panel and seven wrong ones, and taken whole, "no" would be right in seven of eight.
    """
    if len(queries) == 1:
        return queries
    balanced = []
    for answer in YES_NO:
        same = [query for query in queries if query.target == answer]
        balanced.append(same[draw(len(same), "balance", seed, answer, same[0].source)])
    return balanced


def take(
    found: Survey, split: Split, quota: Quota, part: str, seed: int
) -> tuple[list[Place], Counts]:
    """Draw Examples until their queries fill a quota; a share is one of all usable queries.

    Returns:
        The queries by id (`Place.number` counts those of `draw_queries`), and what became of the
        Examples.
    """
    usable, dropped = found.usable[split], found.dropped[split]
    if isinstance(quota, float):
        asked = [len(one.queries) for one in usable]
        quota = max(round(quota * sum(asked)), min(asked, default=1))
    count = Counts(quota, len(usable) + dropped.total(), Counter(dropped))
    taken: list[Place] = []
    for one in sorted(usable, key=lambda one: rank("take", seed, part, one.id)):
        if len(taken) + len(one.queries) <= quota:
            taken += [Place(name, one.row, number) for number, name in enumerate(one.queries)]
            count.taken += 1
        else:
            count.not_drawn += 1
    count.samples = len(taken)
    return sorted(taken), count
