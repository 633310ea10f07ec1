"""Work shared out to a Ray cluster: the machines of `ray start`, which see the same checkout.

The same functions as in processes of one machine. What a node takes down with it is done again by
another, and results come in order, so that neither the number of nodes nor their deaths can change
what is written.
"""

import logging
import os
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from mmicl.errors import MmiclError, ResourceError, TransientError, UserError
from mmicl.processes import keep_ahead, peek

Item = TypeVar("Item")
Value = TypeVar("Value")
AHEAD = 2
"""Works under way or waiting to be taken, for each processor of the cluster."""
TRIES = 5
"""How often a work may be begun again, where its node was lost."""
PATIENCE = 30.0
"""Seconds after which one looks whether there still is anybody who works."""
IMPORT = "failed to import"
"""What Ray says where a node does not find the code of a work."""


class Cluster:
    """A running Ray cluster that this process is connected to (`connect`)."""

    def __init__(self, ray: Any) -> None:
        self._ray = ray
        self._task = ray.remote(max_retries=TRIES, num_cpus=1)(_do)

    def stream(self, work: Callable[[Item], Value], items: Iterable[Item]) -> Generator[Value]:
        """Do the work for every item on the cluster's nodes; results in the items' order.

        Args:
            work: Sent to each node once. Tables that it holds (`mmicl.files.RowTable`) are opened
                there by their path, so the nodes must see the same files.
            items: Each is a task, so few and large ones.

        Raises:
            MmiclError: The first that a work met.
            UserError: A node lacks the code or the data.
            ResourceError: A work ran out of a node's memory, time and again.
            TransientError: The cluster was lost, or a work went down with several nodes in a row.
        """
        first, items = peek(items)
        if first < 2:
            yield from map(work, items)
            return
        submit = partial(self._task.remote, [self._ray.put(work)])
        ahead = AHEAD * max(1, self.count_processors())
        yield from keep_ahead(submit, self._take, items, ahead)

    def count_processors(self) -> int:
        """Of all nodes that are up."""
        return int(self._ray.cluster_resources().get("CPU", 0))

    def _take(self, reference: Any) -> Any:
        """A result, or the error of the work as it was raised."""
        from ray import exceptions

        while True:
            try:
                return self._ray.get(reference, timeout=PATIENCE)
            except exceptions.GetTimeoutError:
                if not self.count_processors():
                    raise TransientError("the Ray cluster has lost all its nodes") from None
            except exceptions.OutOfMemoryError as error:
                remedy = "give the nodes fewer processors (ray start --num-cpus)"
                raise ResourceError(_shorten(error), where="a Ray node", remedy=remedy) from None
            except exceptions.RayTaskError as error:
                cause = error.cause
                if isinstance(cause, exceptions.RaySystemError) or IMPORT in str(cause):
                    remedy = "every node must see this checkout, its data and equal packages"
                    raise UserError(_shorten(cause), where="a Ray node", remedy=remedy) from None
                raise (cause if isinstance(cause, MmiclError) else error) from None
            except exceptions.RayError as error:
                raise TransientError(f"the Ray cluster lost a work: {_shorten(error)}") from None


def _shorten(error: BaseException) -> str:
    """The last line of an error that may hold a whole traceback."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__


@contextmanager
def connect() -> Iterator[Cluster]:
    """The cluster that RAY_ADDRESS names, or that runs on this machine; its workers run our code.

    Raises:
        UserError: Ray is not installed, there is no cluster, or no node of it takes work.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ModuleNotFoundError:
        remedy = "pip install 'mmicl[ray]', or set launch.spread to processes"
        raise UserError("Ray is not installed", remedy=remedy) from None
    code = str(Path(__file__).resolve().parents[1])
    where = os.environ.get("RAY_ADDRESS", "this machine")
    remedy = "ray start --head on one machine, ray start --address=HOST:6379 on the others"
    try:
        ray.init(
            address="auto", log_to_driver=False, logging_level=logging.ERROR,
            runtime_env={"env_vars": {"PYTHONPATH": code}},
        )  # fmt: skip
    except (ConnectionError, RuntimeError, ValueError) as error:
        # None is known; none answers, after two minutes; or it is of another version.
        message = f"no Ray cluster to work on ({_shorten(error)})"
        raise UserError(message, where=where, remedy=remedy) from None
    try:
        cluster = Cluster(ray)
        if not cluster.count_processors():
            raise UserError("no node of the Ray cluster takes work", where=where, remedy=remedy)
        yield cluster
    finally:
        ray.shutdown()


_LAST: dict[str, Callable[[Any], Any]] = {}
"""In a node's process: the work that came last, by its reference. Unpacking it anew for every item
would take longer than many a work."""


def _do(sent: list[Any], item: Any) -> Any:
    (reference,) = sent  # in a list: Ray would unpack a reference that is given as it is
    name = reference.hex()
    if name not in _LAST:
        import ray

        _LAST.clear()
        _LAST[name] = ray.get(reference)
    return _LAST[name](item)
