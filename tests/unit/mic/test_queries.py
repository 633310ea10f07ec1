"""One Example, its questions."""

from typing import Any

import pytest
from mic_examples import make_example

from mmicl.errors import DataError
from mmicl.mic.queries import expand


@pytest.mark.parametrize(
    ("task", "kind", "candidates"),
    [
        ("caption", "generate", ()),
        ("vqa", "generate", ()),
        ("region", "generate", ()),
        ("pope", "yes_probability", ("yes", "no")),
        ("nlvr", "candidates", ("true", "false")),
        ("classify", "yes_probability", ("yes", "no")),
        ("choice", "candidates", ("left", "right")),
        ("video_choice", "candidates", ("it runs", "it sits", "it falls")),
        ("video_caption", "generate", ()),
        ("dialog", "generate", ()),
    ],
)
def test_most_examples_are_one_question(task: str, kind: str, candidates: tuple[str, ...]) -> None:
    example = make_example(task, 1)
    (query,) = expand(example)
    assert (query.id, query.key, query.kind, query.candidates) == (
        example.id, "", kind, candidates,
    )  # fmt: skip
    assert (query.images, query.target) == (example.images, example.target)


def test_a_dialog_is_asked_as_it_was_said_without_the_answers_to_be_ranked() -> None:
    example = make_example("dialog", 1, choices=("a cat", "thing 1"), answer_index=1)
    (query,) = expand(example)
    assert (query.question, query.choices, query.candidates) == (example.question, (), ())


def test_vcr_is_answered_by_the_full_text_of_the_right_option() -> None:
    (query,) = expand(make_example("vcr", 1))
    assert query.target == "<image:2> fell."
    assert query.candidates == query.choices == make_example("vcr", 1).choices
    assert query.names == ("the picture", "person", "dog")


def test_a_winoground_item_is_four_pairs_shuffled_but_keyed_officially() -> None:
    orders = set()
    for number in range(40):
        example = make_example("winoground", number, "test")
        queries = {query.key: query for query in expand(example)}
        assert list(queries) == ["c0i0", "c0i1", "c1i0", "c1i1"]
        for key, query in queries.items():
            official_caption, official_image = int(key[1]), int(key[3])
            words = query.question.split()
            caption = query.choices[int(words[2])]
            image = query.images[int(words[-1].removeprefix("<image:").removesuffix(">?"))]
            assert caption == example.choices[official_caption]
            assert image == example.images[official_image]
            assert query.target == ("yes" if official_caption == official_image else "no")
        first = queries["c0i0"]
        assert {query.images for query in queries.values()} == {first.images}
        orders.add((first.images == example.images, first.choices == example.choices))
    assert len(orders) == 4


def test_a_raven_puzzle_asks_of_each_candidate_panel() -> None:
    example = make_example("raven", 3)
    queries = expand(example)
    assert [query.key for query in queries] == [f"p{k}" for k in range(8)]
    assert [query.target for query in queries] == ["no"] * 3 + ["yes"] + ["no"] * 4
    for k, query in enumerate(queries):
        assert query.images == (*example.images[:8], example.images[8 + k])
        assert "<image:8>" in query.question
    assert len({query.id for query in queries}) == 8


@pytest.mark.parametrize(
    ("task", "changes", "message"),
    [
        ("vcr", {"answer_index": 4}, "answer 4 of 4 options"),
        ("winoground", {"choices": ("one",)}, "2 images and 1 captions"),
        ("raven", {"answer_index": 8}, "16 images and answer 8"),
        ("pope", {"target": "perhaps"}, "'perhaps' is none of yes, no"),
        ("vcr", {"meta": '{"image_names": ["dog"]}'}, "1 image names for 3 images"),
    ],
)
def test_an_example_that_does_not_fit_its_task_is_named(
    task: str, changes: dict[str, Any], message: str
) -> None:
    example = make_example(task, **changes)
    with pytest.raises(DataError, match=message) as caught:
        expand(example)
    assert caught.value.where == example.id


def test_an_unknown_task_is_named() -> None:
    with pytest.raises(
        DataError, match="unknown task 'riddle'; tasks are caption, choice, classify"
    ):
        expand(make_example("vqa").model_copy(update={"task": "riddle"}))
