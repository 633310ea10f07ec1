"""Scenes, what is said of them, and what is asked: answers derived again from the structure."""

import random
import re

import pytest

from mmicl.errors import UserError
from mmicl.records import Split
from mmicl.world import describe, list_words
from mmicl.world.attributes import COLORS, PLACES, SHAPES, SPLITS, Combination, list_combinations
from mmicl.world.description import Crop
from mmicl.world.language import split_words, write_captions
from mmicl.world.questions import WEIGHTS, Question, ask
from mmicl.world.rendering import SIZE, lay_out, render_scene
from mmicl.world.scenes import Scene, Thing, hold_relation, sample_scene


def sample_many(split: Split, count: int = 300) -> list[tuple[Scene, random.Random]]:
    found = []
    for index in range(count):
        rng = random.Random(f"{split}/{index}")
        found.append((sample_scene(rng, split), rng))
    return found


def test_no_combination_of_shape_and_color_is_in_two_splits() -> None:
    combinations = {split: set(list_combinations(split)) for split in SPLITS}
    assert sum(map(len, combinations.values())) == len(set.union(*combinations.values())) == 64
    for split in SPLITS:
        allowed = combinations[split]
        assert {item.shape for item in allowed} == set(SHAPES)
        assert {item.color for item in allowed} == set(COLORS)
        for scene, _ in sample_many(split):
            assert {thing.combination for thing in scene.things} <= allowed


def test_two_things_share_a_cell_only_where_one_is_inside() -> None:
    inside = 0
    for scene, _ in sample_many("train"):
        cells = [(thing.row, thing.column) for thing in scene.things]
        for one in scene.things:
            for other in scene.things:
                if one is not other and (one.row, one.column) == (other.row, other.column):
                    assert hold_relation(one, "inside", other) != hold_relation(
                        other, "inside", one
                    )
                    inside += 1
        assert len(set(cells)) >= len(cells) - 1
    assert inside > 20


def find_referred(scene: Scene, phrase: str) -> list[Thing]:
    """The things that fit every attribute word of a phrase."""
    words = split_words(phrase)
    return [
        thing
        for thing in scene.things
        if all(
            word in (thing.shape, thing.color, thing.size)
            for word in words
            if word in (*SHAPES, *COLORS, "small", "large")
        )
    ]


def find_one(scene: Scene, phrase: str) -> Thing:
    found = find_referred(scene, phrase)
    assert len(found) == 1, f"{phrase!r} means {len(found)} things of {scene}"
    return found[0]


RELATION = "(to the left of|left of|to the right of|right of|above|below|under|inside)"


def stand(first: Thing, phrase: str, second: Thing) -> bool:
    """Whether a relation in words holds; written apart from the product's own rule."""
    if phrase == "inside":
        return (first.row, first.column) == (second.row, second.column) and first.size == "small"
    if "left" in phrase:
        return first.column < second.column
    if "right" in phrase:
        return first.column > second.column
    return first.row < second.row if phrase == "above" else first.row > second.row


def answer_again(scene: Scene, question: Question) -> str:
    """Answer from the question's text and the scene alone."""
    text = question.text.lower().rstrip("?")
    if match := re.match(f".*color (?:is|has) the (?:shape|object) {RELATION} the (.*)", text):
        anchor = find_one(scene, match[2])
        found = [thing for thing in scene.things if stand(thing, match[1], anchor)]
        assert len(found) == 1
        return found[0].color
    if match := re.match(f"(?:what|which) shape is {RELATION} the (.*)", text):
        anchor = find_one(scene, match[2])
        found = [thing for thing in scene.things if stand(thing, match[1], anchor)]
        assert len(found) == 1
        return found[0].shape
    if match := re.match(f"is the (.*?) {RELATION} the (.*)", text):
        return yes(stand(find_one(scene, match[1]), match[2], find_one(scene, match[3])))
    if match := re.match("is the (.*) (larger|smaller) than the (.*)", text):
        sizes = find_one(scene, match[1]).size, find_one(scene, match[3]).size
        return yes(sizes == (("large", "small") if match[2] == "larger" else ("small", "large")))
    if match := re.match("do the (.*) and the (.*) have the same (.*)", text):
        pair = find_one(scene, match[1]), find_one(scene, match[2])
        return yes(getattr(pair[0], match[3]) == getattr(pair[1], match[3]))
    if question.answer_type == "yes/no":
        noun = re.sub(r".* an? | in the (picture|image)", "", text)
        return yes(bool(find_referred(scene, noun)))
    if question.kind == "count":
        noun = re.sub("(how many|what number of) | (are there|can you see|is shown|are in .*)$", "",
                      text)  # fmt: skip
        singular = " ".join(
            word.removesuffix("es") if word == "crosses" else word.removesuffix("s")
            for word in noun.split()
        )
        return str(len(find_referred(scene, singular)))
    thing = find_one(scene, re.sub("^.*? the (?:(?:color|shape|size|position) of the )?", "", text))
    if question.kind == "place":
        thing = find_one(scene, re.sub("^.*the ", "", text))
        return PLACES[thing.row][thing.column]
    return getattr(thing, question.kind)


def yes(value: bool) -> str:
    return "yes" if value else "no"


@pytest.mark.parametrize("kind", list(WEIGHTS))
@pytest.mark.parametrize("split", SPLITS)
def test_answers_follow_from_the_scene(split: Split, kind: str) -> None:
    asked = 0
    for scene, rng in sample_many(split, 150):
        try:
            question = ask(scene, rng, split, kind)
        except ValueError:
            continue  # not every scene allows every kind
        asked += 1
        assert question.answer == answer_again(scene, question), (question, scene)
        assert question.answer not in question.alternatives
        assert question.text.lower().startswith(question.opening)
        assert question.answer_type == (
            "yes/no" if question.answer in ("yes", "no")
            else "number" if question.answer.isdigit() else "other"
        )  # fmt: skip
        named = {
            item
            for item in (Combination(s, c) for s in SHAPES for c in COLORS)
            if f"{item.color} {item.shape}" in question.text
        }
        assert named <= set(list_combinations(split)), "a held-out combination leaks by the text"
    assert asked > 40


@pytest.mark.parametrize("kind", ["existence", "comparison"])
def test_yes_and_no_are_balanced_within_each_way_of_asking(kind: str) -> None:
    answers: dict[str, list[str]] = {}
    for scene, rng in sample_many("train", 1500):
        try:
            question = ask(scene, rng, "train", kind)
        except ValueError:
            continue
        form = next((word for word in ("same", "larger", "smaller") if word in question.text), "")
        answers.setdefault(form, []).append(question.answer)
    for form, given in answers.items():
        share = given.count("yes") / len(given)
        margin = 2.5 * (0.25 / len(given)) ** 0.5
        assert abs(share - 0.5) < max(margin, 0.04), (form, share, len(given))


def test_captions_are_true_short_and_varied() -> None:
    for scene, rng in sample_many("val"):
        captions = write_captions(scene, rng)
        assert len(set(captions)) == 5
        for caption in captions:
            assert 6 <= len(split_words(caption)) <= 16
            for phrase in re.findall(
                r"(?:(?:small|large) )?(?:[a-z]+) (?:[a-z]+)", caption.lower()
            ):
                color, shape = phrase.split()[-2:]
                if color in COLORS and shape in SHAPES:
                    assert find_referred(scene, phrase), (caption, scene)


def test_everything_is_written_in_a_modest_vocabulary() -> None:
    words = set(list_words())
    assert len(words) < 150
    for scene, rng in sample_many("train"):
        texts = [*write_captions(scene, rng), *describe(scene), ask(scene, rng, "train").text]
        assert set(split_words(" ".join(texts))) <= words


def test_a_description_has_a_slot_per_thing() -> None:
    ring = Thing("ring", "red", "large", 0, 2)
    star = Thing("star", "blue", "small", 0, 2)
    scene = Scene((ring, star), look=1)
    first, second = "large red ring top right", "small blue star top right"
    assert describe(scene, 4) == (first, second, "nothing", "nothing")
    assert describe(Crop(scene, ring), 2) == (
        "large red ring middle center",
        "small blue star middle center",
    )
    assert describe(Crop(scene, star), 2)[1] == "nothing"
    with pytest.raises(UserError, match="2 slots"):
        describe(scene, 1)


def test_pictures_show_each_thing_in_its_color_inside_its_box() -> None:
    for scene, _ in sample_many("test", 40):
        picture = render_scene(scene)
        assert picture.size == (SIZE, SIZE)
        assert picture.tobytes() == render_scene(scene).tobytes()
        for placement in lay_out(scene):
            left, top, right, bottom = placement.box
            assert 0 <= left < right <= SIZE
            assert 0 <= top < bottom <= SIZE
            pixels = picture.crop(placement.box).get_flattened_data()
            near = [
                pixel
                for pixel in pixels
                if isinstance(pixel, tuple)
                and all(abs(a - b) < 8 for a, b in zip(pixel, placement.fill, strict=True))
            ]
            assert len(near) > 20, (placement.thing, len(near))
