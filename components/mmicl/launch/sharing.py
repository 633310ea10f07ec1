"""Where the data half's work is done: in processes of this machine, or on a Ray cluster."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from mmicl import cluster
from mmicl.config import Launch
from mmicl.supervision import stream_in_processes

Stream = Callable[[Callable[[Any], Any], Sequence[Any]], Iterable[Any]]
"""Does a work for every item and gives the results in the items' order, as `map` does."""


@contextmanager
def share_out(launch: Launch) -> Iterator[Stream]:
    """What shares work out as `launch.spread` says; the results are the same.

    Raises:
        UserError: Ray is asked for, and there is none.
    """
    if launch.spread == "ray":
        with cluster.connect() as connected:
            yield connected.stream
    else:
        workers = launch.workers
        yield partial(stream_in_processes, processes=workers, ahead=2 * workers)
