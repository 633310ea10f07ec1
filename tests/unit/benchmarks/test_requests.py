"""Which Examples are asked, how, and what the picture controls change."""

import re
from collections import Counter
from dataclasses import replace
from itertools import pairwise

import pytest
from benchmark_examples import example

from mmicl.augment.bank import shipped_bank
from mmicl.benchmarks import BENCHMARKS, find_benchmark
from mmicl.benchmarks.requests import (
    Protocol,
    blank_pictures,
    choose_examples,
    shuffle_pictures,
    write_requests,
)
from mmicl.errors import DataError, UserError
from mmicl.mic.budget import Budget
from mmicl.mic.exemplars import ExemplarPool
from mmicl.mic.scheme import FULL_SCHEME
from mmicl.mic.templates import RESERVED
from mmicl.records import BLANK_IMAGE, Example


def protocol(name: str, shots: int = 0) -> Protocol:
    return Protocol(BENCHMARKS[name], shipped_bank(), FULL_SCHEME, shots, seed=7)


def questions(count: int, group: int = 1, **changes: object) -> list[Example]:
    return [example("pope", n, group=f"g{n // group}", **changes) for n in range(count)]


def test_the_limit_takes_whole_groups() -> None:
    rows = questions(40, group=4)
    chosen = choose_examples(protocol("pope"), rows, 14).examples
    assert set(Counter(row.group for row in chosen).values()) == {4}
    assert len(chosen) == 12


def test_a_larger_limit_keeps_the_smaller_ones_choice() -> None:
    rows = questions(40)
    chosen = [
        {row.id for row in choose_examples(protocol("pope"), rows, n).examples} for n in (5, 10, 40)
    ]
    assert all(small < large for small, large in pairwise(chosen))
    again = choose_examples(protocol("pope"), rows[::-1], 5).examples
    assert {row.id for row in again} == chosen[0]


def test_what_cannot_be_asked_is_excluded_and_counted() -> None:
    rows = [*questions(3), example("pope", 9, question="see <image:4>?")]
    chosen = choose_examples(protocol("pope"), rows, 9)
    assert chosen.excluded == {"reference to an image that is not there": 1}
    assert len(chosen.examples) == 3


def test_a_benchmark_keeps_to_its_budget() -> None:
    """Worked examples go from the end; what is too much by itself is left out, and counted."""
    train = [example("nlvr", n, split="train", id=f"nlvr/train/{n}", group=f"t{n}",
                     images=(f"l{n}", f"r{n}")) for n in range(9)]  # fmt: skip
    tests = [example("nlvr", n, images=(f"a{n}", f"b{n}")) for n in range(3)]
    tests.append(example("nlvr", 3, images=tuple("abcdefg")))
    tests.append(example("nlvr", 4, images=tuple("hi"), question="word " * 200))
    whole = protocol("nlvr2", shots=3)
    pool = ExemplarPool(train)
    prompt = write_requests(whole, tests[:1], pool)[0][1][0].prompt
    first = prompt.split("\n")
    for budget, kept in (
        (Budget(6), 2),
        (Budget(20, len(prompt), len), 3),
        (Budget(20, len(prompt) - 1, len), 2),
        (Budget(5, len(prompt) - 1, len), 1),
    ):
        tight = replace(whole, budget=budget)
        chosen = choose_examples(tight, tests, 9)
        ((_, (request,)),) = write_requests(tight, chosen.examples[:1], pool)
        lines = request.prompt.split("\n")
        assert len(lines) == kept + 1
        assert lines[:kept] == first[:kept]
        assert len(request.images) == 2 * len(lines)
        assert chosen.excluded["more images than max_images"] == (budget.max_images < 7)
        assert chosen.excluded["more tokens than max_tokens"] == (budget.max_tokens is not None)


def test_limits_and_datasets_that_do_not_fit_are_refused() -> None:
    with pytest.raises(UserError, match=r"limit 3 is smaller than every group.*set limit to 4"):
        choose_examples(protocol("pope"), questions(8, group=4), 3)
    with pytest.raises(DataError, match="no Example of the test split"):
        choose_examples(protocol("pope"), questions(8, split="train"), 3)
    with pytest.raises(DataError, match="task pope, but nlvr2 asks nlvr"):
        choose_examples(protocol("nlvr2"), questions(8), 3)


def test_all_questions_of_an_item_share_their_template() -> None:
    rows = [example("winoground", n) for n in range(6)]
    templates = set()
    for _, requests in write_requests(protocol("winoground"), rows, ExemplarPool(())):
        assert len(requests) == 4
        assert len({request.meta for request in requests}) == 1
        assert all(request.candidates == ("yes", "no") for request in requests)
        templates.add(requests[0].meta)
    assert len(templates) > 1


def test_exemplars_come_from_the_training_split_alone() -> None:
    train = [example("vqa", n, split="train", id=f"vqa/train/{n}", group=f"t{n}",
                     images=(f"train-{n}",)) for n in range(9)]  # fmt: skip
    tests = [example("vqa", n) for n in range(5)]
    pool = ExemplarPool([*train, *tests])
    for row, (request,) in write_requests(protocol("vqav2", shots=2), tests, pool):
        assert len(request.images) == 3
        assert request.images[-1] == row.images[0]
        assert all(name.startswith("train-") for name in request.images[:2])


def test_a_draw_changes_the_worked_examples_alone() -> None:
    train = [example("vqa", n, split="train", id=f"vqa/train/{n}") for n in range(100, 140)]
    tests, pool = [example("vqa", n) for n in range(8)], ExemplarPool(train)
    first, again, second = (
        [one for _, (one,) in write_requests(replace(few, draw=number), tests, pool)]
        for few in [protocol("vqav2", shots=2)]
        for number in (0, 0, 1)
    )
    assert first == again
    assert sum(one.prompt != other.prompt for one, other in zip(first, second, strict=True)) > 4
    for one, other in zip(first, second, strict=True):
        assert one.prompt.rpartition("\n")[2] == other.prompt.rpartition("\n")[2]
        assert (one.id, one.images[-1], one.target) == (other.id, other.images[-1], other.target)


def test_direct_answers_are_asked_and_shown_without_choices() -> None:
    """Of worked examples too, whose answers are what most people said; difficult ones are left."""
    rows = [
        example("choice", n, split="train" if n > 4 else "test", id=f"choice/{n}",
                choices=("red", "blue"), answer_index=0, target="red",
                answers=("azure", "sky", "azure"), meta={"difficult": n == 3})
        for n in range(20)
    ]  # fmt: skip
    few = protocol("aokvqa_direct", shots=2)
    chosen = choose_examples(few, rows, 99)
    assert chosen.excluded == {"left out by the official score": 1}
    assert len(chosen.examples) == 4
    asked = [few.benchmark.recast(row) for row in rows if row.split == "train"]
    pool = ExemplarPool([row for row in asked if row is not None])
    for _, (request,) in write_requests(few, chosen.examples, pool):
        assert (request.kind, request.candidates, request.target) == ("generate", (), "azure")
        assert request.prompt.count("azure") == 2
        assert "red" not in request.prompt


@pytest.mark.parametrize(("entry", "name"), [("vqav2", "vqav2"), ("vqav2-4shot", "vqav2")])
def test_an_entry_names_a_benchmark_and_maybe_a_variant(entry: str, name: str) -> None:
    assert find_benchmark(entry).name == name
    with pytest.raises(UserError, match=r"no benchmark is called no; there are aokvqa"):
        find_benchmark("no-4shot")


@pytest.mark.parametrize(("name", "task"), [("pope", "pope"), ("raven", "raven")])
def test_shots_without_exemplars_are_refused(name: str, task: str) -> None:
    with pytest.raises(UserError, match=r"evaluate\.benchmarks\.\w+: 2 shots"):
        write_requests(protocol(name, shots=2), [example(task)], ExemplarPool(()))


def test_blanking_changes_pictures_and_nothing_else() -> None:
    asked = write_requests(protocol("nlvr2"), [example("nlvr", n) for n in range(4)], _none())
    for (_, before), (_, after) in zip(asked, blank_pictures(asked), strict=True):
        for one, other in zip(before, after, strict=True):
            assert other.images == (BLANK_IMAGE, BLANK_IMAGE)
            assert other.model_copy(update={"images": one.images}) == one


def test_text_only_leaves_out_images_and_keeps_every_other_word() -> None:
    train = [example("vqa", n, split="train", id=f"vqa/train/{n}") for n in range(9)]
    tests, pool = [example("vqa", n) for n in range(40)], ExemplarPool(train)
    few = protocol("vqav2", shots=2)
    before = write_requests(few, tests, pool)
    after = write_requests(few, tests, pool, text_only=True)
    for (_, (one,)), (_, (other,)) in zip(before, after, strict=True):
        assert len(one.images) == 3
        assert other.images == ()
        assert not RESERVED.search(other.prompt)
        assert "  " not in other.prompt
        block = re.sub(r"image \d+ is <image\d+>图\. ", "", one.prompt)
        assert other.prompt == re.sub(r"image \d+: <image\d+>图", "the images", block)
        changes = {"images": one.images, "prompt": one.prompt}
        assert other.model_copy(update=changes) == one
    assert any("the images" in one.prompt for _, (one,) in after)


def test_shuffling_permutes_pictures_between_groups_and_changes_nothing_else() -> None:
    rows = questions(30, group=3)
    dealt = shuffle_pictures(rows, seed=5)
    assert sorted(dealt.values()) == sorted(row.images for row in rows)
    home = {row.images: row.group for row in rows}
    assert all(home[dealt[row.id]] != row.group for row in rows)
    before = write_requests(protocol("pope"), rows, _none())
    after = write_requests(protocol("pope"), rows, _none(), dealt)
    for (row, (one,)), (_, (other,)) in zip(before, after, strict=True):
        assert other.images == dealt[row.id]
        assert other.model_copy(update={"images": one.images}) == one


def test_pictures_that_groups_share_are_not_dealt_among_them() -> None:
    """Two sentences of one NLVR2 set are two groups over the same pictures."""
    rows = [
        example("nlvr", n, group=f"sentence-{n}", images=(f"left-{n // 2}", f"right-{n // 2}"))
        for n in range(40)
    ]
    for seed in range(8):
        dealt = shuffle_pictures(rows, seed)
        assert sorted(dealt.values()) == sorted(row.images for row in rows)
        assert all(dealt[row.id] != row.images for row in rows)


def test_pictures_are_dealt_among_items_with_as_many() -> None:
    rows = [
        example("vcr", n, images=tuple(f"{n}-{k}" for k in range(1 + n % 3))) for n in range(12)
    ]
    dealt = shuffle_pictures(rows, seed=5)
    for row in rows:
        assert len(dealt[row.id]) == len(row.images)
        assert dealt[row.id] != row.images
    assert shuffle_pictures(rows[:1], seed=5) == {rows[0].id: rows[0].images}


def test_pictures_of_a_single_group_are_still_dealt() -> None:
    rows = questions(6, group=6)
    dealt = shuffle_pictures(rows, seed=5)
    assert all(dealt[row.id] != row.images for row in rows)


def test_a_shuffled_items_four_questions_show_the_same_pictures() -> None:
    rows = [example("winoground", n) for n in range(5)]
    dealt = shuffle_pictures(rows, seed=5)
    for row, requests in write_requests(protocol("winoground"), rows, _none(), dealt):
        assert {tuple(sorted(request.images)) for request in requests} == {
            tuple(sorted(dealt[row.id]))
        }


def _none() -> ExemplarPool:
    return ExemplarPool(())
