"""Worked examples for a query: from the training split of its own dataset, and never a leak."""

from collections.abc import Iterable, Iterator

from mmicl.mic.chance import draw
from mmicl.mic.queries import Query, expand
from mmicl.mic.scheme import find_fault
from mmicl.mic.templates import TASKS
from mmicl.records import Example, split_reference


class ExemplarPool:
    """The Examples of one dataset that may stand before a query as worked examples.

    Takes from `examples` the training split of tasks that allow exemplars, without records that
    cannot be rendered. The order of `examples` does not matter.
    """

    def __init__(self, examples: Iterable[Example]) -> None:
        usable = [
            query
            for example in examples
            if example.split == "train"
            for query in expand(example)
            if TASKS[query.task].exemplars and not find_fault(query)
        ]
        self._queries = sorted(usable, key=lambda query: query.id)

    def __len__(self) -> int:
        return len(self._queries)

    def choose(self, query: Query, count: int, seed: int) -> list[Query]:
        """Draw up to `count` exemplars for a query, by hash of (seed, the query's id).

        None is of the query's dataset's other tasks, the query itself, of its group, or shows a
        picture of it (crops count as their picture); no two share a group. There are fewer than
        `count` only where the pool has no more of that kind.
        """
        chosen: list[Query] = []
        if not TASKS[query.task].exemplars or not self._queries:
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
            yield self._queries[(start + step) % len(self)]


def _pictures(query: Query) -> set[str]:
    """The stored pictures that a query shows."""
    return {split_reference(reference)[0] for reference in query.images}
