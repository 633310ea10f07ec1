"""The context scheme: numbers, placeholders, switches, budget."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mic_examples import make_example

from mmicl.augment.bank import shipped_bank
from mmicl.config import Scheme
from mmicl.errors import DataError
from mmicl.mic.budget import Budget
from mmicl.mic.queries import Query, expand
from mmicl.mic.scheme import FULL_SCHEME, find_fault, render
from mmicl.mic.templates import TASKS
from mmicl.records import PLACEHOLDER, Template

BANK = shipped_bank()
RAVEN_PANELS = 9


def ask(task: str, number: int = 0, **changes: Any) -> Query:
    return expand(make_example(task, number, **changes))[0]


def template(task: str, text: str) -> Template:
    return Template(id="t", task=task, text=text, origin="", licence="", reviewed=True)


switches = st.builds(
    Scheme,
    declaration=st.booleans(), in_context=st.booleans(), interrelated=st.booleans(),
    tags=st.booleans(),
)  # fmt: skip


@given(
    task=st.sampled_from(sorted(TASKS)),
    which=st.integers(0, 9),
    number=st.integers(0, 50),
    count=st.integers(0, 12),
    budget=st.integers(RAVEN_PANELS, 20),
    scheme=switches,
)
def test_every_prompt_counts_its_images(
    task: str, which: int, number: int, count: int, budget: int, scheme: Scheme
) -> None:
    query = ask(task, number)
    exemplars = [ask(task, 100 + k) for k in range(count)]
    rendered = render(query, BANK[task][which], exemplars, scheme=scheme, budget=Budget(budget))
    images = len(rendered.images)
    assert rendered.prompt.count(PLACEHOLDER) == images <= budget
    around = re.findall(r"(\[image\])?图(\[/image\])?", rendered.prompt)
    assert around == [("[image]", "[/image]") if scheme.tags else ("", "")] * images
    proxies = re.findall(r"<image(\d+)>", rendered.prompt)
    assert proxies == ([str(j) for j in range(images)] if scheme.declaration else [])
    spoken = (rendered.prompt, rendered.target, *rendered.candidates)
    assert all(int(j) < images for text in spoken for j in re.findall(r"image (\d+)", text))
    assert "<image:" not in "".join(spoken)

    own = query.images if scheme.interrelated else query.images[:1]
    assert rendered.images[images - len(own) :] == own
    assert list(rendered.exemplars) == [one.source for one in exemplars[: len(rendered.exemplars)]]
    before = query.before if scheme.in_context else ()
    room = (budget - len(own) - len(before)) // len(own)
    assert len(rendered.exemplars) == (min(count, room) if scheme.in_context else 0)
    assert not rendered.candidates or rendered.target in rendered.candidates


def count_words(prompt: str) -> int:
    """A tokenizer of words, to which an image is 32."""
    return len(prompt.split()) + 31 * prompt.count(PLACEHOLDER)


@given(
    task=st.sampled_from(sorted(TASKS)),
    which=st.integers(0, 9),
    count=st.integers(0, 12),
    images=st.integers(RAVEN_PANELS, 20),
    tokens=st.integers(20, 900),
    scheme=switches,
)
def test_a_budget_of_tokens_drops_exemplars_and_never_cuts(
    task: str, which: int, count: int, images: int, tokens: int, scheme: Scheme
) -> None:
    query, chosen = ask(task), BANK[task][which]
    exemplars = [ask(task, 100 + k) for k in range(count)]
    budget = Budget(images, tokens, count_words)
    alone = count_words(render(query, chosen, scheme=scheme).prompt)
    fault = find_fault(query, scheme, budget, chosen)
    assert fault == ("more tokens than max_tokens" if alone > tokens else "")
    assert find_fault(query, scheme, budget) == ""
    if fault:
        with pytest.raises(DataError, match=fault):
            render(query, chosen, exemplars, scheme=scheme, budget=budget)
        return
    found = render(query, chosen, exemplars, scheme=scheme, budget=budget)
    assert count_words(found.prompt) <= tokens
    kept = len(found.exemplars)
    assert found == render(query, chosen, exemplars[:kept], scheme=scheme)
    roomier = render(query, chosen, exemplars, scheme=scheme, budget=Budget(images))
    if kept < len(roomier.exemplars):
        more = render(query, chosen, exemplars[: kept + 1], scheme=scheme)
        assert count_words(more.prompt) > tokens


def test_a_budget_that_cannot_be_kept_is_refused() -> None:
    with pytest.raises(ValueError, match="there are 20 proxies"):
        Budget(21)
    with pytest.raises(ValueError, match="without something to count them"):
        Budget(20, max_tokens=9)


def test_exemplars_stand_before_the_query_with_their_answers() -> None:
    rendered = render(
        ask("vqa", 3), template("vqa", "{images} {question}"), [ask("vqa", 1), ask("vqa", 2)]
    )
    assert rendered.prompt.split("\n") == [
        "image 0 is <image0>图. what is thing 1 ? thing 1",
        "image 1 is <image1>图. what is thing 2 ? thing 2",
        "image 2 is <image2>图. what is thing 3 ?",
    ]
    assert rendered.target == "thing 3"
    assert rendered.exemplars == ("vqa/train/1", "vqa/train/2")


def test_references_count_on_over_exemplars_in_question_choices_and_answers() -> None:
    text = "{images:inline} | {question} | {choices}"
    shown = render(ask("vcr", 1), template("vcr", text), [ask("vcr", 4), ask("vcr", 5)])
    first, second, third = shown.prompt.split("\n")
    assert first == (
        "image 0: <image0>图, image 1: <image1>图, image 2: <image2>图 | why is image 1 near image "
        "2 ? | option 0: image 1 likes it. option 1: image 2 fell. option 2: no reason. option 3: "
        "it rains. image 1 likes it."
    )
    assert "why is image 4 near image 5 ?" in second
    assert second.endswith("it rains. image 5 fell.")
    assert "why is image 7 near image 8 ?" in third
    assert shown.target == shown.candidates[1] == "image 8 fell."


def test_the_tenth_image_is_not_the_first_one_with_a_zero() -> None:
    example = make_example("vcr", images=tuple(make_example("raven").images[:12]), meta="{}",
                           question="<image:1> or <image:10> or <image:11>?")  # fmt: skip
    shown = render(expand(example)[0], template("vcr", "{images} {question} {choices}"))
    assert "image 1 or image 10 or image 11?" in shown.prompt


def test_tags_stand_around_each_image_and_nowhere_else() -> None:
    scheme = FULL_SCHEME.model_copy(update={"tags": True})
    shown = render(ask("nlvr"), template("nlvr", "{images} {question}"), scheme=scheme)
    assert shown.prompt == (
        "image 0 is <image0>[image]图[/image]. image 1 is <image1>[image]图[/image]. "
        "what is thing 0 ?"
    )
    forged = ask("nlvr", question="what is behind [/image] ?")
    assert find_fault(forged) == ""
    assert find_fault(forged, scheme) == "image tag in the text"


def test_without_declaration_images_stand_bare_in_their_places() -> None:
    scheme = FULL_SCHEME.model_copy(update={"declaration": False})
    for form in ("{images}", "{images:inline}"):
        shown = render(ask("nlvr"), template("nlvr", f"So {form} {{question}}"), scheme=scheme)
        assert shown.prompt == "So 图 图 what is thing 0 ?"


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("{images} Question: {question}", "Question: what is <q>?"),
        ("{question} {images} Answer:", "what is <q>? Answer:"),
        ("Look at {images:inline}. {question}", "Look at the images. what is <q>?"),
    ],
)
def test_a_prompt_without_images_declares_none(text: str, wanted: str) -> None:
    query = ask("vqa", question="what is <q>?")
    rendered = render(query, template("vqa", text), text_only=True)
    assert (rendered.prompt, rendered.images) == (wanted, ())
    assert rendered.target == render(query, template("vqa", text)).target


def test_without_interrelated_images_the_frame_stays_and_objects_go_by_their_words() -> None:
    scheme = FULL_SCHEME.model_copy(update={"interrelated": False})
    text = "{images} {question} {choices}"
    shown = render(ask("vcr"), template("vcr", text), scheme=scheme)
    assert shown.images == make_example("vcr").images[:1]
    assert "image 0 is <image0>图. why is person near dog ?" in shown.prompt
    assert shown.target == "person likes it."
    nameless = render(ask("vcr", meta="{}"), template("vcr", text), scheme=scheme)
    assert "why is another image near another image ?" in nameless.prompt
    region = render(ask("region"), template("region", "{images} {question}"), scheme=scheme)
    assert region.prompt == "image 0 is <image0>图. What is the object?"


def test_a_test_record_without_a_target_renders_but_is_no_exemplar() -> None:
    unanswered = ask("vqa", target="")
    assert render(unanswered, BANK["vqa"][0]).target == ""
    with pytest.raises(DataError, match="no target"):
        render(ask("vqa", 1), BANK["vqa"][0], [unanswered])


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"question": "is 图 a word?"}, "placeholder or proxy token in the text"),
        ({"target": "<image3>"}, "placeholder or proxy token in the text"),
        ({"question": "what is <image:1>?"}, "reference to an image that is not there"),
        ({"images": ()}, "no image"),
        ({"target": " "}, "no target"),
        ({"images": make_example("raven").images}, "more images than max_images"),
    ],
)
def test_what_cannot_be_rendered_is_named(changes: dict[str, Any], fault: str) -> None:
    query = ask("vqa", **changes)
    assert find_fault(query, budget=Budget(12)) == fault
    if fault != "no target":
        with pytest.raises(DataError, match=fault) as caught:
            render(query, BANK["vqa"][0], budget=Budget(12))
        assert caught.value.where == query.id


@pytest.mark.parametrize("place", range(len(BANK["scienceqa"])))
def test_a_question_of_text_alone_declares_no_image(place: int) -> None:
    query = ask("scienceqa", images=(), question="Which is cold?", choices=("ice", "fire"),
                answer_index=0, target="ice")  # fmt: skip
    shown = ask("scienceqa", 1)
    assert find_fault(query) == ""
    alone = render(query, BANK["scienceqa"][place])
    words = "Question: Which is cold? Options: option 0: ice; option 1: fire Answer:"
    assert (alone.prompt, alone.images) == (words, ())
    after = render(query, BANK["scienceqa"][place], [shown])
    assert after.prompt.endswith(f"\n{words}")
    assert after.images == shown.images
    bare = Scheme(declaration=False, in_context=True, interrelated=False, tags=True)
    assert render(query, BANK["scienceqa"][place], scheme=bare).prompt == words


def test_a_template_may_not_swallow_the_question_nor_be_of_another_task() -> None:
    with pytest.raises(DataError, match=r"has no \{question\}"):
        render(ask("vqa"), template("vqa", "{images} what?"))
    with pytest.raises(DataError, match="task vqa with template caption-00"):
        render(ask("vqa"), BANK["caption"][0])
