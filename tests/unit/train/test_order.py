"""The order of samples: pure, complete, the same on any number of ranks."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmicl.train.order import batch_indices, count_micro_steps, plan_micro_batches


@given(
    samples=st.integers(1, 60),
    size=st.integers(1, 40),
    seed=st.integers(0, 2**40),
    steps=st.integers(1, 8),
)
def test_every_epoch_is_a_permutation(samples: int, size: int, seed: int, steps: int) -> None:
    seen = [index for step in range(steps) for index in batch_indices(samples, seed, step, size)]
    for start in range(0, len(seen), samples):
        epoch = seen[start : start + samples]
        if len(epoch) == samples:
            assert sorted(epoch) == list(range(samples))
        assert max(Counter(epoch).values()) == 1


def test_a_batch_depends_on_nothing_but_its_arguments() -> None:
    later = batch_indices(1000, 7, 500, 32)  # no cursor: any step first
    assert [batch_indices(1000, 7, step, 32) for step in range(501)][500] == later
    assert batch_indices(1000, 8, 500, 32) != later
    first, second = batch_indices(100, 1, 0, 100), batch_indices(100, 1, 1, 100)
    assert first != second  # epochs are shuffled anew


def test_the_order_is_this_one() -> None:
    # A library that draws otherwise would silently change what a resumed run sees.
    assert batch_indices(10, 1234, 0, 10) == [8, 9, 5, 0, 2, 6, 4, 7, 1, 3]


@given(
    lengths=st.lists(st.integers(1, 50), min_size=1, max_size=70),
    ranks=st.sampled_from([1, 2, 4, 7]),
    micro_batch=st.integers(1, 20),
)
def test_ranks_share_a_batch_without_loss_or_repetition(
    lengths: list[int], ranks: int, micro_batch: int
) -> None:
    plan = plan_micro_batches(lengths, ranks, micro_batch)
    dealt = [place for rank in plan for chunk in rank for place in chunk if place is not None]
    assert sorted(dealt) == list(range(len(lengths)))
    steps = count_micro_steps(len(lengths), ranks, micro_batch)
    assert len(plan) == ranks
    assert all(len(rank) == steps for rank in plan)
    rows = {len(chunk) for rank in plan for chunk in rank}
    assert len(rows) == 1
    assert rows.pop() <= micro_batch


@pytest.mark.parametrize("ranks", [1, 2, 4])
def test_samples_of_like_length_come_together(ranks: int) -> None:
    lengths = [10, 100] * 16
    plan = plan_micro_batches(lengths, ranks, micro_batch=16 // ranks)
    for rank in plan:
        for chunk in rank:
            assert len({lengths[place] for place in chunk if place is not None}) == 1
