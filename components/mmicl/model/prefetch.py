"""Doing the next pieces of work while this one is used."""

from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from mmicl.processes import keep_ahead

T = TypeVar("T")
R = TypeVar("R")


def prefetch(function: Callable[[T], R], items: Iterable[T], workers: int) -> Generator[R]:
    """Apply a function in threads, a few items ahead, and yield the results in order.

    Args:
        function: Must not depend on the order of calls. Its errors come out at their place.
        items: What to apply it to; taken as needed.
        workers: Threads; one more result than that may wait.
    """
    with ThreadPoolExecutor(workers, thread_name_prefix="prefetch") as pool:
        try:
            yield from keep_ahead(partial(pool.submit, function), Future.result, items, workers + 1)
        finally:
            pool.shutdown(cancel_futures=True)
