"""Works for several processes of one machine, and their results in the order of the items."""

import multiprocessing
from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from functools import partial
from itertools import chain, islice
from multiprocessing.queues import SimpleQueue
from typing import Any, TypeVar

from mmicl.supervision import die_with_parent

Item = TypeVar("Item")
Value = TypeVar("Value")
Stream = Callable[[Callable[[Any], Any], Iterable[Any]], Iterable[Any]]
"""Does a work for every item and gives the results in the items' order, as `map` does."""


def fork_workers(processes: int) -> ProcessPoolExecutor:
    """Forked processes that share what is loaded, and end with this one, by whatever death."""
    return ProcessPoolExecutor(
        processes, multiprocessing.get_context("fork"), initializer=die_with_parent
    )


def map_in_processes(
    work: Callable[[Item], Value], items: Sequence[Item], processes: int
) -> dict[Item, Value]:
    """Do the work for every item, as `stream_in_processes` does; no process waits for another."""
    done = stream_in_processes(work, items, processes, ahead=len(items))
    return dict(zip(items, done, strict=True))


def stream_in_processes(
    work: Callable[[Item], Value], items: Iterable[Item], processes: int, *, ahead: int
) -> Generator[Value]:
    """Do the work for every item, in forked processes that share what is loaded.

    On a processor, results are the same in any process; a GPU is not for two. They come in the
    order of the items, which are taken as needed; `ahead` of them may be under way or wait to be
    taken. A single item is not worth a process.

    Raises:
        MmiclError: The first that a process met; what had not begun is left.
    """
    first, items = peek(items)
    if min(processes, first) < 2:
        yield from map(work, items)
        return
    _SHARED["work"] = work
    with fork_workers(processes) as pool:
        try:
            submit = partial(pool.submit, _do_shared)
            yield from keep_ahead(submit, Future.result, items, ahead)
        finally:
            pool.shutdown(cancel_futures=True)


def map_on_gpus(work: Callable[..., Value], items: Sequence[Item], gpus: int) -> dict[Item, Value]:
    """Do the work for every item, in as many processes as GPUs at the most, each with its own.

    A fork cannot use CUDA, so these start anew. Each has one copy of the work, which may keep what
    it loads, and calls it with an item and the number of the GPU, as `gpu`.

    Raises:
        MmiclError: The first that a process met; what had not begun is left.
    """
    context = multiprocessing.get_context("spawn")
    numbers = context.SimpleQueue()
    for number in range(gpus):
        numbers.put(number)
    with ProcessPoolExecutor(min(gpus, len(items)), context, _take_gpu, (work, numbers)) as pool:
        return dict(zip(items, pool.map(_do_shared, items), strict=True))


def run_apart(work: Callable[..., Value], *arguments: Any) -> Value:
    """Do a work in a process of its own: when it has ended, the memory of GPUs is free as well.

    Args:
        work: A function of a module.
        arguments: What it takes; they and its result are pickled.

    Raises:
        MmiclError: That of the work.
    """
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, context, die_with_parent) as pool:
        return pool.submit(work, *arguments).result()


def peek(items: Iterable[Item]) -> tuple[int, Iterable[Item]]:
    """How many items there are, at least (0, 1 or 2), and all of them."""
    rest = iter(items)
    first = list(islice(rest, 2))
    return len(first), chain(first, rest)


def keep_ahead(
    submit: Callable[[Item], Any], take: Callable[[Any], Value], items: Iterable[Item], ahead: int
) -> Generator[Value]:
    """The results of works that others do, in the order of the items.

    Args:
        submit: Begins the work for an item; what it gives stands for the result.
        take: Waits for that result.
        items: Taken as needed.
        ahead: How many of them may be under way or wait to be taken.
    """
    waiting: deque[Any] = deque()
    for item in items:
        waiting.append(submit(item))
        if len(waiting) >= ahead:
            yield take(waiting.popleft())
    while waiting:
        yield take(waiting.popleft())


_SHARED: dict[str, Any] = {}
"""What a process finds in its memory: functions of functions cannot be sent to it."""


def _take_gpu(work: Callable[..., Any], numbers: SimpleQueue[int]) -> None:
    """Begin a process of `map_on_gpus`."""
    die_with_parent()
    _SHARED["work"] = partial(work, gpu=numbers.get())


def _do_shared(item: Any) -> Any:
    return _SHARED["work"](item)
