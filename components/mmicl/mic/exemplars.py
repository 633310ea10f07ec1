"""Worked examples for a query: from the training split of its own dataset, and never a leak."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from mmicl.config import Scheme
from mmicl.mic.budget import WHOLE, Budget
from mmicl.mic.chance import draw
from mmicl.mic.queries import Query, expand
from mmicl.mic.scheme import FULL_SCHEME, find_fault
from mmicl.mic.templates import TASKS
from mmicl.records import Example, split_reference


class Place(NamedTuple):
    """Where a query is to be found: its id, the row of its Example, its number among those of it.

    A million of them fit into memory where a million queries would not.
    """

    id: str
    row: int
    number: int


def find_places(
    queries: Sequence[Query],
    row: int,
    scheme: Scheme = FULL_SCHEME,
    budget: Budget = WHOLE,
) -> list[Place]:
    """Which queries of an Example, all of them given, may stand before others as worked examples.

    Those of the training split of tasks that allow exemplars, without what `render` refuses.
    """
    return [
        Place(query.id, row, number)
        for number, query in enumerate(queries)
        if query.split == "train"
        and TASKS[query.task].exemplars
        and not find_fault(query, scheme, budget)
    ]


class ExemplarPool:
    """The Examples of one dataset that may stand before a query as worked examples.

    The order of `examples` does not matter.

    Args:
        examples: The dataset's Examples, looked up by row.
        places: Those that may be chosen; every one that `find_places` gives, if not given.
        scheme: By which they will be rendered.
        budget: What the prompts may hold.
    """

    def __init__(
        self,
        examples: Sequence[Example],
        places: Iterable[Place] | None = None,
        scheme: Scheme = FULL_SCHEME,
        budget: Budget = WHOLE,
    ) -> None:
        if places is None:
            rows = enumerate(map(expand, examples))
            places = (
                place
                for row, queries in rows
                for place in find_places(queries, row, scheme, budget)
            )
        self._examples = examples
        self._places = sorted(places)

    def __len__(self) -> int:
        return len(self._places)

    def choose(self, query: Query, count: int, seed: int) -> list[Query]:
        """Draw up to `count` exemplars for a query, by hash of (seed, the query's id).

        None is of the query's dataset's other tasks, the query itself, of its group, or shows a
        picture of it (crops count as their picture); no two share a group. There are fewer than
        `count` only where the pool has no more of that kind.
        """
        chosen: list[Query] = []
        if not TASKS[query.task].exemplars or not self._places:
            return chosen
        pictures, groups = _pictures(query), {query.group}
        for place in range(count):
            for candidate in self._walk(draw(len(self), "exemplar", seed, query.id, place)):
                if (
                    candidate.group not in groups
                    and (candidate.dataset, candidate.task) == (query.dataset, query.task)
                    and candidate.source != query.source
                    and not pictures & _pictures(candidate)
                ):
                    chosen.append(candidate)
                    groups.add(candidate.group)
                    break
            else:
                break
        return chosen

    def _walk(self, start: int) -> Iterator[Query]:
        """Once round the pool, from `start`; the first steps nearly always suffice."""
        for step in range(len(self)):
            place = self._places[(start + step) % len(self)]
            yield expand(self._examples[place.row])[place.number]


def _pictures(query: Query) -> set[str]:
    """The stored pictures that a query shows."""
    return {split_reference(reference)[0] for reference in query.images}
