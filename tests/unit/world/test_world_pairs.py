"""Pairs, objects and sequences: labels derived again; the texts alone give nothing away."""

import random
from collections import Counter

import pytest

from mmicl.records import Split
from mmicl.world.attributes import CONTAINERS, SPLITS, list_combinations
from mmicl.world.episodes import ask_about_objects, sample_sequence
from mmicl.world.pairs import Kind, Statement, sample_pair_set, sample_swap
from mmicl.world.scenes import Scene, Thing, sample_scene

STAR = Thing("star", "red", "large", 0, 0)
HEART = Thing("heart", "blue", "small", 2, 2)


@pytest.mark.parametrize(
    ("quantifier", "kind", "left", "right", "holds"),
    [
        ("left", Kind("star", None), (STAR,), (HEART,), True),
        ("left", Kind("star", "blue"), (STAR,), (STAR,), False),
        ("right", Kind(None, "blue"), (STAR,), (HEART,), True),
        ("both", Kind("star", None), (STAR,), (STAR, HEART), True),
        ("both", Kind("star", None), (STAR,), (HEART,), False),
        ("neither", Kind("ring", None), (STAR,), (HEART,), True),
        ("neither", Kind("star", None), (STAR,), (HEART,), False),
        ("one", Kind("star", None), (STAR,), (STAR,), False),
        ("one", Kind("star", None), (HEART,), (STAR,), True),
        ("any", Kind("star", None), (HEART,), (HEART,), False),
        ("more", Kind(None, None), (STAR, HEART), (HEART,), True),
        ("fewer", Kind(None, None), (STAR, HEART), (HEART,), False),
        ("fewer", Kind(None, None), (STAR,), (HEART,), False),
    ],
)
def test_quantifiers_mean_what_they_say(quantifier, kind, left, right, holds) -> None:
    statement = Statement("", quantifier, kind)
    assert statement.holds(Scene(left, 0), Scene(right, 0)) is holds


def test_totals_and_relations_are_counted_over_the_right_things() -> None:
    both, one = Scene((STAR, HEART), 0), Scene((HEART,), 0)
    assert Statement("", "total", Kind(None, "blue"), number=2).holds(both, one)
    assert not Statement("", "total", Kind(None, "blue"), number=1).holds(both, one)
    above = Statement("", "left", Kind("star", None), "above", Kind(None, "blue"))
    below = Statement("", "left", Kind("star", None), "below", Kind(None, "blue"))
    assert above.holds(both, one)
    assert not below.holds(both, one)


@pytest.mark.parametrize("split", SPLITS)
def test_each_sentence_is_true_of_two_pairs_of_four(split: Split) -> None:
    quantifiers = set()
    for seed in range(60):
        pair_set = sample_pair_set(random.Random(seed), split)
        assert len({statement.text for statement in pair_set.statements}) == 2
        for statement in pair_set.statements:
            quantifiers.add(statement.quantifier)
            assert sum(statement.holds(*pair) for pair in pair_set.pairs) == 2
    assert len(quantifiers) >= 8


def test_swapped_captions_have_the_same_words_and_fit_one_picture_each() -> None:
    tags = Counter()
    allowed = set(list_combinations("test"))
    for seed in range(200):
        swap = sample_swap(random.Random(seed), "test")
        tags[swap.tag] += 1
        assert swap.captions[0] != swap.captions[1]
        assert sorted(swap.captions[0].split()) == sorted(swap.captions[1].split())
        for side, caption in enumerate(swap.captions):
            first, second = (
                next(t for t in swap.scenes[side].things if f"{t.color} {t.shape}" in part)
                for part in (caption.split()[:4], caption.split()[-3:])
                for part in [" ".join(part)]
            )
            wrong = swap.scenes[1 - side].things
            if swap.tag == "Relation-Place":
                relation = next(
                    w for w in ("left", "right", "above", "below", "under") if w in caption
                )
                for things, fits in ((swap.scenes[side].things, True), (wrong, False)):
                    one = next(t for t in things if t.shape == first.shape)
                    two = next(t for t in things if t.shape == second.shape)
                    standing = {
                        "left": one.column < two.column,
                        "right": one.column > two.column,
                        "above": one.row < two.row,
                    }.get(relation, one.row > two.row)
                    assert standing is fits
            else:
                assert not {(t.size, t.combination) for t in wrong} & {
                    (t.size, t.combination) for t in (first, second)
                }
            assert {thing.combination for thing in swap.scenes[side].things} <= allowed
    assert set(tags) == {"Relation-Place", "Adjective-Color", "Adjective-Size"}


def test_every_split_has_swaps() -> None:
    for split in SPLITS:
        tags = {sample_swap(random.Random(seed), split).tag for seed in range(40)}
        assert ("Adjective-Color" in tags) == (split != "val"), "one color a shape: nothing to swap"


def read_tokens(tokens: list) -> str:
    return " ".join(
        token if isinstance(token, str) else " and ".join(f"#{index}" for index in token)
        for token in tokens
    )


def test_objects_have_one_right_answer_and_one_right_reason() -> None:
    labels = Counter()
    for seed in range(400):
        rng = random.Random(seed)
        scene = sample_scene(rng, "train", least=3)
        asked = ask_about_objects(scene, rng)
        told = [read_tokens(tokens) for tokens in asked.answers]
        assert len(set(told)) == 4
        assert [is_true(text, scene) for text in told].count(True) == 1
        assert is_true(told[asked.answer], scene)
        reasons = [read_tokens(tokens) for tokens in asked.reasons]
        assert [is_true(text, scene) for text in reasons] == [
            place == asked.reason for place in range(4)
        ]
        labels[asked.answer] += 1
    assert min(labels.values()) > 60


def is_true(text: str, scene: Scene) -> bool:
    """Whether a sentence about numbered objects is true; "which are" means exactly those."""
    words = text.removesuffix(" .").split()
    named = [scene.things[int(word[1:])] for word in words if word[0] == "#"]
    first, attribute = named[0], words[-1]
    if "in the" in text:
        size, color, shape = words[words.index("a") + 1 :][:3]
        return (first.size, first.color, first.shape) == (size, color, shape) and (
            first.place == " ".join(words[words.index("the") + 1 :])
        )
    if " is a " in text:
        return first.shape == attribute
    if len(named) == 2 and "and" not in words:
        relation = words[2]
        second = named[1]
        return {
            "left": first.column < second.column,
            "right": first.column > second.column,
            "above": first.row < second.row,
            "below": first.row > second.row,
            "inside": (first.row, first.column) == (second.row, second.column)
            and first.size == "small",
        }[relation]
    return all(attribute in (thing.color, thing.size) for thing in named)


def test_reasons_do_not_give_themselves_away() -> None:
    """Each changed attribute has two values among the four, twice each."""
    for seed in range(50):
        rng = random.Random(seed)
        asked = ask_about_objects(sample_scene(rng, "train", least=3), rng)
        words = Counter(word for tokens in asked.reasons for word in map(str, tokens))
        assert words["small"] + words["large"] == 4
        assert {words["small"], words["large"]} in ({0, 4}, {2})


@pytest.mark.parametrize("split", SPLITS)
def test_sequences_show_what_they_say(split: Split) -> None:
    events = set()
    for seed in range(150):
        sequence = sample_sequence(random.Random(seed), split, frames=4)
        events.add(sequence.event)
        shown = [frame.select(shape=sequence.subject) for frame in sequence.frames]
        first, last = shown[0], shown[-1]
        assert len(sequence.frames) == 4
        match sequence.event:
            case "disappears":
                assert first
                assert not last
            case "appears":
                assert last
                assert not first
            case "changes color":
                assert first[0].color != last[0].color
            case "stays still":
                assert all(things == first for things in shown)
            case "moves left" | "moves right":
                step = last[0].column - first[0].column
                assert step == (2 if sequence.event == "moves right" else -2)
                assert first[0].row == last[0].row
            case _:
                step = last[0].row - first[0].row
                assert step == (2 if sequence.event == "moves down" else -2)
    # in validation each shape has one colour
    assert len(events) == (7 if split == "val" else 8)


def test_only_some_shapes_hold_others() -> None:
    for seed in range(300):
        scene = sample_scene(random.Random(seed), "train", inside=1.0)
        for outer in scene.things:
            for inner in scene.things:
                same = (outer.row, outer.column) == (inner.row, inner.column)
                if same and outer.size == "large" and inner is not outer:
                    assert outer.shape in CONTAINERS
