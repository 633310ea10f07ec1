"""The miniature backbone learns to read: prompts and labels that are right."""

import math
import random
import re

import pytest
import torch
from torch.nn import functional

from mmicl.augment.bank import shipped_bank
from mmicl.mic.scheme import render
from mmicl.model.loading import load_model
from mmicl.records import PLACEHOLDER, Template
from mmicl.train.tiny.claims import RELATION, read_claim
from mmicl.train.tiny.labels import list_standings
from mmicl.train.tiny.language import Reader, look_nearby
from mmicl.train.tiny.marks import KINDS
from mmicl.train.tiny.packed import group_rows
from mmicl.train.tiny.panels import UNASKED, compare
from mmicl.train.tiny.reading import NO_DECLARATION, ReadingTask, list_right
from mmicl.train.tiny.tasks import SKILLS, make_asked
from mmicl.train.tiny.vision import (
    IGNORED,
)
from mmicl.world.attributes import COLORS, SHAPES, list_combinations
from mmicl.world.description import SLOTS, describe
from mmicl.world.matrices import Panel
from mmicl.world.scenes import Scene, Thing
from mmicl.world.several import LABELS

BANK: dict[str, list[Template]] = shipped_bank()


@pytest.mark.parametrize("skill", SKILLS)
def test_every_skill_makes_prompts_over_training_combinations(skill: str) -> None:
    allowed = set(list_combinations("train"))
    targets = set()
    for place in range(40):
        rng = random.Random(f"{skill}/{place}")
        asked = make_asked(skill, rng, "train", str(place), place % 2)
        template = rng.choice(BANK[asked.query.task])
        rendered = render(asked.query, template, asked.exemplars)
        assert rendered.prompt.count(PLACEHOLDER) == len(rendered.images)
        assert "<image:" not in rendered.prompt + rendered.target
        for reference in rendered.images:
            picture = asked.pictures[reference]
            if isinstance(picture, Scene):
                assert {thing.combination for thing in picture.things} <= allowed
        targets.add(rendered.target)
    assert len(targets) > 1


def test_made_up_names_can_only_be_learnt_from_the_examples() -> None:
    for place in range(60):
        asked = make_asked("labels", random.Random(place), "train", str(place), 0)
        shown = {
            query.target: describe(asked.pictures[query.images[0]])[0].split()
            for query in asked.query.before
        }
        assert set(shown) <= set(LABELS)
        assert len(shown) == 2
        asked_of = describe(asked.pictures[asked.query.images[0]])[0].split()
        same = [
            name for name, words in shown.items() if {*words} & {*asked_of} & ({*SHAPES, *COLORS})
        ]
        assert asked.query.target in same


def test_what_is_asked_of_several_images_is_true_of_the_one_that_is_named() -> None:
    for place in range(60):
        asked = make_asked("which", random.Random(place), "train", str(place), 0)
        noun = re.split(r"\ban? ", asked.query.question.removesuffix("?"))[1].split()
        words = [word for word in noun if word != "shape"]
        fits = [
            any(set(words) <= set(phrase.split()) for phrase in describe(asked.pictures[image]))
            for image in asked.query.images
        ]
        assert fits.count(True) == 1
        assert asked.query.target == f"<image:{fits.index(True)}>"


@pytest.fixture
def parts() -> tuple[Reader, ReadingTask]:
    model, processor = load_model("builtin:tiny")
    reader = Reader(model, processor)
    return reader, ReadingTask(reader, BANK, seed=3, steps=10, batch_size=6)


def test_slots_hold_the_sum_of_their_words(parts: tuple[Reader, ReadingTask]) -> None:
    reader, task = parts
    prompts = task.make_test("nlvr", "train", 2)
    made = reader.embed(prompts)["inputs_embeds"]
    table = reader.language_model.get_input_embeddings().weight
    for row, prompt in enumerate(prompts):
        places = [
            place
            for place, token in enumerate(prompt.ids)
            if token == reader.processor.placeholder_id
        ]
        phrases = [phrase for picture in prompt.pictures for phrase in describe(picture)]
        assert len(places) == len(phrases) == 2 * SLOTS
        for place, phrase in zip(places, phrases, strict=True):
            ids = reader.processor.tokenizer(phrase, add_special_tokens=False).input_ids
            assert torch.allclose(made[row, place], table[ids].sum(0) / len(ids) ** 0.5, atol=1e-5)


def test_packed_tokens_give_the_losses_of_transformers(
    parts: tuple[Reader, ReadingTask],
) -> None:
    reader, task = parts
    for step in (1, 9):  # one image a prompt, and several
        prompts = sorted(task.make_batch(step), key=lambda prompt: len(prompt.ids))
        losses, _ = reader(reader.collate(prompts, task.labeler.label(prompts)), None)
        labels = reader.processor.encode_targets([prompt.target for prompt in prompts]).labels
        logits = reader.language_model(**reader.embed(prompts), labels=labels).logits
        expected = functional.cross_entropy(
            logits.transpose(1, 2), labels, ignore_index=IGNORED, reduction="none"
        ).sum(1) / (labels != IGNORED).sum(1)
        assert torch.allclose(losses, expected, atol=1e-4)


def test_rows_are_grouped_and_come_back_in_order() -> None:
    lengths = [3, 1, 4, 2, 2]
    groups = group_rows(lengths, 2)
    packed = torch.arange(1.0, 1 + sum(lengths)).unsqueeze(1)
    padded = [group.pad(packed).squeeze(-1) for group in groups]
    assert padded[0][0].tolist() == [1, 2, 3]
    assert padded[0][1][0] == 4
    assert groups[0].real.tolist() == [[True] * 3, [True, False, False]]
    together = [group.pack(group.pad(packed)) for group in groups]
    assert torch.equal(torch.cat(together), packed)


def test_slots_are_told_which_words_and_images_the_question_names(
    parts: tuple[Reader, ReadingTask],
) -> None:
    reader, task = parts
    rng = random.Random(5)
    rows = [task.write("several", rng, "train", str(place), 1) for place in range(30)]
    for prompt, (text, _) in zip(task.encode(rows), rows, strict=True):
        question = text.rsplit("\n", 1)[-1]
        spoken = {int(k) for k in re.findall(r"[Ii]n image (\d+)(?!: <)", question)}
        assert prompt.asked == spoken
        assert len(spoken) == 1
    prompts = task.encode(rows[:2])
    with torch.no_grad():
        for value in reader.marks.parameters():
            value.zero_()  # a classifier that knows nothing
        _, loss = reader(reader.collate(prompts, task.labeler.label(prompts)), None)
    weights = sum(
        kind.weight for name, kind in KINDS.items() if not kind.classes and name != "fits"
    )
    assert loss.item() == pytest.approx(weights * math.log(2) + math.log(20), abs=1e-4)


def test_of_an_episode_the_pictures_with_the_right_name_are_the_sources(
    parts: tuple[Reader, ReadingTask],
) -> None:
    _, task = parts
    rng = random.Random(3)
    for place in range(20):
        text, row = task.write("labels", rng, "train", str(place), 0)
        told = re.findall(rf"\b({'|'.join(LABELS)})\b", text)
        assert len(told) == len(row.pictures) - 1
        assert row.sources == {place for place, name in enumerate(told) if name == row.target}


def test_slots_are_told_how_their_thing_stands_to_those_that_the_question_names(
    parts: tuple[Reader, ReadingTask],
) -> None:
    reader, task = parts
    star, ring, heart = (
        Thing("star", "red", "small", 0, 0),
        Thing("ring", "red", "small", 1, 2),
        Thing("heart", "blue", "large", 2, 1),
    )
    scene = Scene((star, ring, heart), 0)
    phrases = task.labeler.list_phrases(scene)
    text = set(reader.list_tokens("is the red ring left of the blue heart"))
    # of the ring and the heart: left of, right of, above, below
    assert list_standings(scene, phrases, text) == [
        [1, 0, 1, 0], [0, 1, 1, 0], [1, 0, 0, 1], [0, 0, 0, 0],
    ]  # fmt: skip
    assert list_standings(scene, phrases, set()) == [[0, 0, 0, 0]] * 4


@pytest.mark.parametrize(
    ("text", "means", "holds"),
    [
        (
            "Is the red ring on the right side of the blue heart? Please answer",
            [0, 1, 1],
            [0, 1, 0],
        ),
        ("Is the red ring to the left of the blue heart?", [0, 1, 1], [0, 0, 0]),
        ("What color is the shape above the ring?", [0, 1, 0], [1, 0, 0]),
        ("How many small things are there?", [1, 1, 0], [0, 0, 0]),
        ("a large blue heart and a small red star", [1, 0, 1], [0, 0, 0]),
        ("How many shapes are there?", [0, 0, 0], [0, 0, 0]),
        ("There are exactly two rings in total.", [0, 1, 0], [0, 0, 0]),
    ],
)
def test_a_claim_means_things_and_holds_of_some(
    text: str, means: list[int], holds: list[int]
) -> None:
    things = (
        Thing("star", "red", "small", 0, 0),
        Thing("ring", "red", "small", 1, 2),
        Thing("heart", "blue", "large", 2, 1),
    )
    claim = read_claim(text)
    assert [claim.means(thing) for thing in things] == means
    assert [claim.holds(Scene(things, 0), thing) for thing in things] == holds


def test_what_is_asked_behind_the_last_layer_follows_from_question_and_answer(
    parts: tuple[Reader, ReadingTask],
) -> None:
    reader, task = parts
    rng = random.Random(4)
    prompts = task.encode([task.write("labels", rng, "train", str(n), 0) for n in range(5)])
    for prompt in prompts:
        marked = [
            one
            for one, mark in zip(prompt.ids, task.labeler.label_answer(prompt), strict=True)
            if mark[0]
        ]
        assert marked == reader.list_tokens(prompt.target) * len(prompt.sources)
    swaps = task.encode([task.write("winoground", rng, "train", str(n), 0) for n in range(40)])
    fits = {"yes": 0, "no": 0}
    for prompt in swaps:
        assert prompt.claim
        rows = list(task.labeler.label_claim(prompt))
        own = range(len(prompt.pictures) * SLOTS)
        if RELATION.search(prompt.claim):
            assert any(rows[slot][1] for slot in own) == (prompt.target == "yes")
            fits[prompt.target] += 1
    assert min(fits.values()) > 3


def test_panels_are_compared_with_their_neighbours_and_the_candidate_with_what_fits(
    parts: tuple[Reader, ReadingTask],
) -> None:
    _, task = parts
    rng = random.Random(4)
    for prompt in task.encode([task.write("raven", rng, "train", str(n), 0) for n in range(20)]):
        rows = task.labeler.label_matrix(prompt)
        asked = {slot for slot, row in enumerate(rows["fits"]) if row[0] != UNASKED}
        assert asked == {8 * SLOTS}, "of the candidate alone"
        assert (sum(rows["fits"][8 * SLOTS]) == 4) == (prompt.target == "yes")
        asked = {slot for slot, row in enumerate(rows["compared"]) if row != [UNASKED] * 8}
        assert asked == {panel * SLOTS for panel in range(1, 9)}, "the first has no neighbours"


def test_levels_differ_by_as_much_as_they_do() -> None:
    def panel(*levels: int) -> Panel:
        return Panel(*levels, configuration="distribute_nine", slots=tuple(range(levels[0] + 1)))

    panels = [panel(0, 1, 2, 3)] * 3 + [panel(1, 0, 4, 3), panel(0, 4, 1, 3)]
    # to the left, then above: number, shape, size, color; 2 is no difference, 5 more than two
    assert compare(panels, 4) == [1, 5, 5, 2, 2, 5, 1, 2]
    assert compare(panels, 3) == [UNASKED] * 4 + [3, 1, 4, 2]
    assert compare(panels, 0) == [UNASKED] * 8


def test_two_heads_start_with_what_stands_near() -> None:
    model, _ = load_model("builtin:tiny")
    look_nearby(model)
    attention = model.language_model.encoder.block[0].layer[0].SelfAttention
    left, right = attention.compute_bias(40, 40)[0, :2]
    assert left[20, 13:20].tolist() == [0] * 7
    assert right[20, 21:28].tolist() == [0] * 7
    assert (left[20] == 0).sum() == (right[20] == 0).sum() == 7


def test_some_prompts_go_without_declarations(parts: tuple[Reader, ReadingTask]) -> None:
    _, task = parts
    asked = make_asked("vqa", random.Random(1), "train", "x", 0)
    bare = render(asked.query, BANK["vqa"][0], scheme=NO_DECLARATION)
    assert "<image0>" not in bare.prompt
    rng = random.Random(0)
    declared = [
        "<image0>" in task.write("vqa", rng, "train", str(place), 0)[0] for place in range(300)
    ]
    assert 0.85 < sum(declared) / 300 < 1


def test_a_step_is_a_pure_function_of_seed_and_number(
    parts: tuple[Reader, ReadingTask],
) -> None:
    _, task = parts
    assert task.make_batch(7) == task.make_batch(7)
    assert task.make_batch(7) != task.make_batch(8)


def test_of_a_panel_every_caption_is_right_and_else_the_target_alone(
    parts: tuple[Reader, ReadingTask],
) -> None:
    _, task = parts
    (panel,), (question,) = (task.make_test(skill, "train", 1) for skill in ("panel", "vqa"))
    assert len(set(list_right(panel))) == 5
    assert panel.target in list_right(panel)
    assert list_right(question) == [question.target]


def test_worked_examples_come_when_single_prompts_are_read(
    parts: tuple[Reader, ReadingTask],
) -> None:
    task = ReadingTask(parts[0], BANK, seed=3, steps=100, batch_size=60)
    early, plain, late = (
        [prompt for step in steps for prompt in task.make_batch(step)]
        for steps in (range(2), range(58, 60), range(90, 92))
    )
    several = {"raven", "winoground", "labels", "sequence"}
    assert not several & {prompt.skill for prompt in early}
    assert several <= {prompt.skill for prompt in plain}
    shown = [
        {len(prompt.pictures) for prompt in batch if prompt.skill == "vqa"}
        for batch in (plain, late)
    ]
    assert shown == [{1}, {1, 2, 3}]


def test_what_few_slots_are_asked_weighs_more(parts: tuple[Reader, ReadingTask]) -> None:
    batch = ReadingTask(parts[0], BANK, seed=3, steps=10, batch_size=200).make(9)
    meant = {name: float((batch.labels[name] > 0).mean()) for name in ("leads", "named")}
    assert meant["leads"] < 0.03 < meant["named"]
    assert KINDS["leads"].weight > 4 * KINDS["named"].weight
