"""The order of samples: pure, complete, the same on any number of ranks."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmicl.train.order import batch_indices, plan_micro_batches


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
    rows=st.integers(1, 20),
    tokens=st.integers(1, 400),
)
def test_ranks_share_a_batch_without_loss_or_repetition(
    lengths: list[int], ranks: int, rows: int, tokens: int
) -> None:
    plan = plan_micro_batches(lengths, ranks, rows, tokens)
    chunks = [chunk for rank in plan for chunk in rank]
    dealt = [place for chunk in chunks for place in chunk if place is not None]
    assert sorted(dealt) == list(range(len(lengths)))
    assert len(plan) == ranks
    assert len({len(rank) for rank in plan}) == 1, "ranks wait for one another at every step"
    for chunk in chunks:
        real = [lengths[place] for place in chunk if place is not None]
        assert real or chunk == [None]
        assert len(real) <= rows
        assert len(real) <= 1 or len(real) * max(real) <= tokens
    # at least one rank has work in its last micro step
    assert any(rank[-1] != [None] for rank in plan)


@pytest.mark.parametrize("ranks", [1, 2, 4])
def test_samples_of_like_length_come_together(ranks: int) -> None:
    lengths = [10, 100] * 16
    for rank in plan_micro_batches(lengths, ranks, rows=16 // ranks, tokens=10_000):
        for chunk in rank:
            assert len({lengths[place] for place in chunk if place is not None}) == 1


def test_micro_batches_hold_like_numbers_of_tokens() -> None:
    (chunks,) = plan_micro_batches([50] * 20, 1, rows=32, tokens=800)
    assert [len(chunk) for chunk in chunks] == [10, 10]  # and not 16 and 4
    shares = plan_micro_batches([200] * 4 + [50] * 16, 2, rows=32, tokens=2000)
    assert [[len(chunk) for chunk in rank] for rank in shares] == [[4], [16]]
