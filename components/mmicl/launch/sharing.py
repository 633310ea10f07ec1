"""Where the data half's work is done: in processes of this machine, or on a Ray cluster."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from mmicl import cluster
from mmicl.config import Launch
from mmicl.processes import Stream, stream_in_processes


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
