"""An episode of made-up names as a prompt, and questions about one of several images."""

import pytest
from mic_examples import make_example

from mmicl.errors import DataError
from mmicl.mic.budget import Budget
from mmicl.mic.queries import Query, expand
from mmicl.mic.scheme import FULL_SCHEME, find_fault, render
from mmicl.records import Template


def template(task: str) -> Template:
    return Template(
        id="t", task=task, text="{images} {question}", origin="", licence="", reviewed=True
    )


def ask(task: str, number: int = 0) -> Query:
    return expand(make_example(task, number))[0]


def test_named_pictures_come_before_the_query_as_worked_examples() -> None:
    shown = render(ask("episode"), template("episode"))
    assert shown.prompt.split("\n") == [
        "image 0 is <image0>图. what is this ? dax",
        "image 1 is <image1>图. what is this ? wug",
        "image 2 is <image2>图. what is this ? wug",
        "image 3 is <image3>图. what is this ? dax",
        "image 4 is <image4>图. what is this ?",
    ]
    assert shown.images == make_example("episode").images
    assert shown.target == "wug"
    assert shown.exemplars == ()


def test_an_episode_is_never_cut_to_a_budget_of_images() -> None:
    assert find_fault(ask("episode"), budget=Budget(5)) == ""
    assert find_fault(ask("episode"), budget=Budget(4)) == "more images than max_images"
    with pytest.raises(DataError, match="more images than max_images"):
        render(ask("episode"), template("episode"), budget=Budget(4))


def test_without_context_the_query_stands_alone() -> None:
    scheme = FULL_SCHEME.model_copy(update={"in_context": False})
    assert find_fault(ask("episode"), scheme, budget=Budget(1)) == ""
    shown = render(ask("episode"), template("episode"), scheme=scheme)
    assert shown.prompt == "image 0 is <image0>图. what is this ?"
    assert shown.images == make_example("episode").images[4:]


def test_an_episode_wants_a_name_for_every_picture_but_the_last() -> None:
    example = make_example("episode", choices=("dax",))
    with pytest.raises(DataError, match="5 images and 1 names"):
        expand(example)


def test_a_question_about_one_of_several_images_counts_on_over_exemplars() -> None:
    shown = render(ask("multi"), template("multi"), [ask("multi", 1)])
    assert shown.prompt.split("\n") == [
        "image 0 is <image0>图. image 1 is <image1>图. is image 0 or image 1 red ? image 1",
        "image 2 is <image2>图. image 3 is <image3>图. is image 2 or image 3 red ?",
    ]
    assert shown.target == "image 3"
