"""Training the miniature backbone: data that is right, runs that go on, parts that fit together."""

import math
import random
import re
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch.nn import functional

from mmicl.augment.bank import shipped_bank, write_bank
from mmicl.errors import DataError
from mmicl.mic.scheme import render
from mmicl.model.features import encode_images
from mmicl.model.loading import load_model
from mmicl.model.tiny import build_config, build_model
from mmicl.records import PLACEHOLDER, Template
from mmicl.train.tiny.__main__ import main
from mmicl.train.tiny.claims import RELATION, read_claim
from mmicl.train.tiny.labels import list_standings
from mmicl.train.tiny.language import Reader, ReadingBatch, look_nearby
from mmicl.train.tiny.loop import load_batches, train
from mmicl.train.tiny.marks import KINDS
from mmicl.train.tiny.packed import group_rows
from mmicl.train.tiny.panels import UNASKED, compare
from mmicl.train.tiny.reading import NO_DECLARATION, ReadingTask, list_right
from mmicl.train.tiny.tasks import SKILLS, make_asked
from mmicl.train.tiny.vision import (
    FEATURE_SCALE,
    IGNORED,
    WORDS,
    Namer,
    NamingTask,
    draw_picture,
    enlarge_features,
    find_loss,
    list_cell_labels,
    list_labels,
    render_picture,
)
from mmicl.world.attributes import COLORS, DISTANCE, SHAPES, UNNAMED, list_combinations
from mmicl.world.description import SLOTS, Crop, describe
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


def test_batches_made_ahead_by_processes_are_the_same_and_in_order() -> None:
    # In a process of its own, as the trainer is: forked beside the threads that other tests have
    # left in this one, a worker may end with code 1.
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as fresh:
        alone, ahead = fresh.map(make_batches, (0, 2))
    assert len(alone) == len(ahead) == 4
    for here, there in zip(alone, ahead, strict=True):
        assert here.ids.tolist() == there.ids.tolist()
        assert here.lengths == there.lengths
        for name, rows in here.labels.items():
            assert rows.tolist() == there.labels[name].tolist()


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


def make_batches(workers: int) -> list[ReadingBatch]:
    """The batches of steps 4 to 7, made ahead by so many processes."""
    reader = Reader(*load_model("builtin:tiny"))
    task = ReadingTask(reader, BANK, seed=1, steps=10, batch_size=8)
    return list(load_batches(task, 4, 8, workers))


@pytest.fixture
def one_thread() -> Iterator[None]:
    """As the trainer sets it: on two, sums of gradients round differently from run to run."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.usefixtures("one_thread")
def test_a_killed_run_goes_on_to_the_same_weights(tmp_path: Path) -> None:
    def run(name: str, stops: tuple[int, ...]) -> dict[str, torch.Tensor]:
        state: dict[str, torch.Tensor] = {}
        for stop in stops:
            model, processor = load_model("builtin:tiny")
            torch.manual_seed(0)  # the classifiers at the slots are drawn
            reader = Reader(model, processor)

            class Stopped(ReadingTask):
                def loss(self, step: int, batch: ReadingBatch, stop: int = stop):
                    if step == stop:
                        raise KeyboardInterrupt
                    return super().loss(step, batch)

            task = Stopped(reader, BANK, seed=1, steps=4, batch_size=4)
            try:
                train(
                    reader, task, steps=4, learning_rate=1e-3, weight_decay=0.01,
                    checkpoint=tmp_path / name, report=lambda line: None, save_every=2,
                )  # fmt: skip
            except KeyboardInterrupt:
                assert stop < 4
            state = reader.state_dict()
        return state

    whole, broken = run("whole", (9,)), run("broken", (3, 9))
    assert all(torch.equal(value, broken[key]) for key, value in whole.items())


def test_another_schedule_does_not_go_on_from_a_checkpoint(tmp_path: Path) -> None:
    layer = torch.nn.Linear(2, 1)

    class Squares:
        def make(self, step: int) -> int:
            return step

        def loss(self, step: int, batch: int) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
            assert step == batch
            return layer(torch.ones(1, 2)).square().sum(), {}

    def run(steps: int) -> None:
        train(
            layer, Squares(), steps=steps, learning_rate=0.1, weight_decay=0.0,
            checkpoint=tmp_path / "layer", report=lambda line: None,
        )  # fmt: skip

    run(2)
    with pytest.raises(DataError, match="another schedule"):
        run(3)


def test_labels_name_each_word_of_each_phrase() -> None:
    rng = random.Random(5)
    pictures = [draw_picture(rng, "train") for _ in range(60)]
    labels = list_labels(pictures, 8)
    for row, picture in enumerate(pictures):
        told = tuple(
            " ".join(WORDS[word] for word in words if WORDS[word]) for words in labels[row].tolist()
        )
        assert told == describe(picture, 8)
        assert render_picture(picture).mode == "RGB"


def test_colors_without_a_name_carry_no_loss() -> None:
    rng = random.Random(6)
    pictures = [draw_picture(rng, "train", unnamed=0.5) for _ in range(60)]
    labels = list_labels(pictures, 8)
    ignored = (labels == IGNORED).nonzero()
    assert set(ignored[:, 2].tolist()) == {1}, "the second word of a phrase is the color"
    named = {
        thing.combination
        for picture in pictures
        if isinstance(picture, Scene)
        for thing in picture.things
        if thing.color in COLORS
    }
    assert named <= set(list_combinations("train"))


def test_the_namer_trains_what_sees_and_nothing_else() -> None:
    model, processor = load_model("builtin:tiny")
    namer = Namer(model)
    task = NamingTask(namer, processor, seed=0, steps=10, batch_size=4)
    loss, _ = task.loss(0, task.make(0))
    loss.backward()
    learns = {name for name, value in model.named_parameters() if value.grad is not None}
    assert any(name.startswith("vision_model") for name in learns)
    assert "query_tokens" in learns
    assert not any(name.startswith(("language", "qformer.embeddings")) for name in learns)


def test_features_are_enlarged_as_a_whole() -> None:
    model, processor = load_model("builtin:tiny")
    rng = random.Random(1)
    pixels = processor.pixels([render_picture(draw_picture(rng, "train")) for _ in range(2)])
    with torch.inference_mode():
        before = encode_images(model, pixels)
        enlarge_features(model)
        assert torch.allclose(encode_images(model, pixels), FEATURE_SCALE * before, atol=1e-4)


def test_patches_name_what_stands_in_their_cell() -> None:
    inner, outer = (
        Thing("star", "red", "small", 0, 2),
        Thing("ring", "blue", "large", 0, 2),
    )
    scene = Scene((outer, inner), look=3)
    labels = list_cell_labels([scene, Crop(scene, inner)], 8)
    assert labels.shape == (2, 64, 3)
    words = [[WORDS[word] for word in cell] for cell in labels[0].tolist()]
    assert words[7] == ["large", "blue", "ring"]
    assert words[0] == words[63] == ["nothing", "", ""]
    assert (labels[1] == IGNORED).all()


@pytest.mark.slow
def test_the_command_writes_a_backbone_that_loads(tmp_path: Path) -> None:
    bank = tmp_path / "bank.jsonl"
    write_bank(bank, [template for templates in BANK.values() for template in templates])
    arguments = [
        "--out", str(tmp_path / "out"), "--state", str(tmp_path / "state"), "--bank", str(bank),
        "--vision-steps", "2", "--language-steps", "2", "--vision-batch", "4",
        "--language-batch", "4", "--measure", "1", "--nice", "0",
        "--vision-hardware", "a GPU", "--language-hardware", "two cores",
    ]  # fmt: skip
    assert main(arguments) == 0
    model, _ = load_model(str(tmp_path / "out"))
    found = model.language_model.get_input_embeddings().weight
    state = load_file(tmp_path / "state" / "language.safetensors")
    assert torch.equal(found, state["weight.language_model.shared.weight"].half().float())
    assert (tmp_path / "out" / "quality.json").is_file()
    card = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    assert "\n| vqa | " in card
    assert "--seed 0" in card
    assert "- vision: 2 steps of 4, learning rate 0.001, 0 minutes on a GPU\n" in card
    assert "- language: 2 steps of 4, learning rate 0.001, 0 minutes on two cores\n" in card
    size = sum(path.stat().st_size for path in (tmp_path / "out").iterdir())
    assert size < 10_000_000
    start = build_model(build_config(), 0)
    before, after = dict(start.named_parameters()), dict(model.named_parameters())
    projection = before.pop("language_projection.weight") / FEATURE_SCALE  # random as it was
    assert torch.allclose(after["language_projection.weight"], projection, rtol=1e-2, atol=1e-6)
    halves = {name: value.half().float() for name, value in before.items()}
    changed = {name for name in halves if not torch.equal(halves[name], after[name])}
    assert {name.split(".")[0] for name in changed} == {
        "language_model", "qformer", "query_tokens", "vision_model",
    }  # fmt: skip


def test_no_step_speaks_against_a_held_out_combination() -> None:
    logits = torch.zeros(1, 1, 5, len(WORDS), requires_grad=True)
    words = ("large", "cyan", "circle", "top", "left")
    find_loss(logits, torch.tensor([[[WORDS.index(word) for word in words]]])).backward()
    assert logits.grad is not None
    pushed = {word: logits.grad[0, 0, 2, WORDS.index(word)].item() for word in SHAPES}
    seen = {shape for shape, color in list_combinations("train") if color == "cyan"}
    assert {shape for shape, value in pushed.items() if value != 0} == seen
    shapes = {word: logits.grad[0, 0, 1, WORDS.index(word)].item() for word in COLORS}
    seen = {color for shape, color in list_combinations("train") if shape == "circle"}
    assert {color for color, value in shapes.items() if value != 0} == seen


def test_colours_without_a_name_are_far_from_those_with_one() -> None:
    assert len(UNNAMED) > 50
    assert min(math.dist(a, b) for a in UNNAMED.values() for b in COLORS.values()) > DISTANCE
