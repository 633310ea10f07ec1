"""Work ahead: in order, bounded, errors at their place."""

import threading
import time

import pytest

from mmicl.model.prefetch import prefetch


def test_results_keep_their_order_whatever_the_threads_do() -> None:
    def work(item: int) -> int:
        time.sleep(0.002 * (item % 3))
        return item * item

    assert list(prefetch(work, range(30), workers=4)) == [item * item for item in range(30)]


def test_no_more_than_a_few_items_are_ahead() -> None:
    started: list[int] = []
    lock = threading.Lock()

    def work(item: int) -> int:
        with lock:
            started.append(item)
        return item

    results = prefetch(work, range(100), workers=2)
    next(results)
    time.sleep(0.05)
    assert len(started) <= 4
    results.close()


def test_an_error_comes_out_at_its_place() -> None:
    def work(item: int) -> int:
        if item == 3:
            raise ValueError("three")
        return item

    results = prefetch(work, range(10), workers=2)
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="three"):
        next(results)
