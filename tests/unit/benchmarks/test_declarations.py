"""Each benchmark's columns and formulas give the official scorer's figures, and its controls."""

import math
import random
from pathlib import Path

import numpy as np
import pytest
from benchmark_examples import answered, example

from mmicl.benchmarks import BENCHMARKS
from mmicl.benchmarks.benchmark import Benchmark, Columns, Item
from mmicl.benchmarks.intervals import sum_columns
from mmicl.benchmarks.page import tell_chance
from mmicl.benchmarks.scorers import caption, nlvr, pope, vqa, winoground
from mmicl.records import Example

SCORERS = Path(caption.__file__).parent


def report(benchmark: Benchmark, columns: Columns) -> dict[str, float]:
    sums = sum_columns(columns)
    values = {name: float(metric.formula(sums)) for name, metric in benchmark.metrics.items()}
    return {name: value for name, value in values.items() if not math.isnan(value)}


def judged(name: str, items: list[Item]) -> dict[str, float]:
    return report(BENCHMARKS[name], BENCHMARKS[name].judge(items))


def test_every_benchmark_is_registered_under_its_name() -> None:
    assert all(name == one.name for name, one in BENCHMARKS.items())
    for one in BENCHMARKS.values():
        assert one.version
        assert one.licence
        assert (SCORERS / f"{one.scorer}.py").is_file(), (one.name, one.scorer)
        assert tell_chance(one), one.name
        for figure in one.published:
            assert figure.metric in one.metrics, (one.name, figure)


def test_only_where_there_is_no_such_level_chance_is_said_to_be_none() -> None:
    assert {one.name for one in BENCHMARKS.values() if tell_chance(one) == "none"} == {
        "coco_caption", "flickr30k", "nocaps", "nextqa_open",
    }  # fmt: skip
    for name in ("coco_caption", "flickr30k", "nocaps", "nextqa_open"):
        assert BENCHMARKS[name].chance([example("vqa")], [example("vqa", split="train")]) is None
    assert "coin" in tell_chance(BENCHMARKS["pope"])
    assert "training split" in tell_chance(BENCHMARKS["vqav2"])


def test_vqav2_equals_the_official_scorer() -> None:
    draw = random.Random(1)
    kinds = ["yes/no", "number", "other"]
    items, truths, answers = [], [], {}
    for number in range(60):
        given = tuple(draw.choice(["two", "2", "the red", "red", "blue"]) for _ in range(10))
        kind = draw.choice(kinds)
        one = example("vqa", number, answers=given, meta={"answer_type": kind})
        answers[one.id] = draw.choice(["2", "red", "green"])
        items.append(answered(one, answers[one.id]))
        truths.append(vqa.Annotation(one.id, given, "what", kind))
    official, ours = vqa.score(answers, truths), judged("vqav2", items)
    assert round(ours["accuracy"], 2) == official.overall
    for kind, name in zip(kinds, ("yes_no", "number", "other"), strict=True):
        assert round(ours[f"accuracy_{name}"], 2) == official.per_answer_type[kind]


def test_vqav2_chance_is_a_random_training_answer() -> None:
    train = [example("vqa", number, split="train", target=target) for number, target in enumerate(
        ["red", "red", "Red.", "blue"])]  # fmt: skip
    one = example("vqa", answers=("red",) * 9 + ("blue",))
    columns = BENCHMARKS["vqav2"].chance([one], train)
    assert columns is not None
    blue = vqa.score_answer("blue", one.answers)
    assert report(BENCHMARKS["vqav2"], columns)["accuracy"] == pytest.approx(75 + 25 * blue)
    assert BENCHMARKS["vqav2"].constant(train).text == "red"
    assert BENCHMARKS["vqav2"].chance([one], []) is None


def test_msrvtt_qa_wants_the_annotated_answer() -> None:
    answers = ["moves left", " Moves  LEFT\n", "moves", "moves left.", "", "it moves left"]
    items = [
        answered(example("video", number, target="moves left"), text)
        for number, text in enumerate(answers)
    ]
    assert judged("msrvtt_qa", items) == {"accuracy": pytest.approx(100 * 2 / 6)}


def test_msrvtt_qa_chance_is_a_random_training_answer() -> None:
    benchmark = BENCHMARKS["msrvtt_qa"]
    train = [example("video", number, split="train", target=target) for number, target in enumerate(
        ["car", "car", "Car", "man", "dog"])]  # fmt: skip
    asked = [example("video", number, target=target) for number, target in enumerate(
        ["car", "man", "snow"])]  # fmt: skip
    columns = benchmark.chance(asked, train)
    assert columns is not None
    assert report(benchmark, columns)["accuracy"] == pytest.approx((60 + 20 + 0) / 3)
    assert benchmark.constant(train).text == "car"
    assert benchmark.chance(asked, []) is None


def test_pope_equals_the_official_scorer_pooled_and_by_setting() -> None:
    draw = random.Random(2)
    settings = ["random", "popular", "adversarial"]
    rows = [
        (draw.choice(["yes", "no"]), draw.choice(["Yes", "no"]), draw.choice(settings))
        for _ in range(90)
    ]
    items = [
        answered(example("pope", number, target=label, meta={"setting": setting}), text)
        for number, (label, text, setting) in enumerate(rows)
    ]
    ours = judged("pope", items)
    for setting in ["", *settings]:
        own = [row for row in rows if setting in ("", row[2])]
        official = pope.score(pope.count([row[1] for row in own], [row[0] for row in own]))
        for name, value in official.items():
            key = f"{name}_{setting}" if setting else name
            assert ours[key] == pytest.approx(100 * value), key


def test_pope_leaves_out_settings_that_were_not_asked() -> None:
    ours = judged("pope", [answered(example("pope", meta={"setting": "random"}), "yes")])
    assert "accuracy_random" in ours
    assert "accuracy_popular" not in ours
    assert "f1_popular" not in ours


def test_pope_chance_and_constant() -> None:
    benchmark = BENCHMARKS["pope"]
    asked = [example("pope", number, target="yes" if number else "no") for number in range(4)]
    columns = benchmark.chance(asked, [])
    assert columns is not None
    chance = report(benchmark, columns)
    assert (chance["accuracy"], chance["precision"], chance["recall"]) == (50, 75, 50)
    assert benchmark.constant([]).text == "yes"


@pytest.mark.parametrize("name", ["nlvr1", "nlvr2"])
def test_nlvr_equals_the_official_scorer(name: str) -> None:
    draw = random.Random(3)
    items, truths, answers = [], [], {}
    for number in range(40):
        sentence = f"s{number // 4}"
        one = example("nlvr", number, group=sentence, target=draw.choice(["true", "false"]))
        answers[one.id] = one.target if draw.random() < 0.8 else "maybe"
        items.append(answered(one, answers[one.id]))
        truths.append(nlvr.Reference(one.id, sentence, one.target))
    official = nlvr.score(answers, truths)
    assert judged(name, items) == pytest.approx({k: 100 * v for k, v in official.items()})


def test_nlvr_chance_of_consistency_is_one_in_two_to_the_k() -> None:
    benchmark = BENCHMARKS["nlvr2"]
    asked = [example("nlvr", n, group="a" if n < 3 else "b") for n in range(4)]
    columns = benchmark.chance(asked, [])
    assert columns is not None
    assert report(benchmark, columns) == {
        "accuracy": 50, "consistency": pytest.approx(100 * (1 / 8 + 1 / 2) / 2)
    }  # fmt: skip
    train = [example("nlvr", n, split="train", target=t) for n, t in enumerate(
        ["false", "true", "false"])]  # fmt: skip
    assert benchmark.constant(train).text == "false"


def test_winoground_takes_queries_in_official_order() -> None:
    draw = random.Random(4)
    items, tables = [], []
    for number in range(50):
        table = [[draw.random() for _ in range(2)] for _ in range(2)]
        tables.append(table)
        # Log-likelihoods of (yes, no) for c0i0, c0i1, c1i0, c1i1.
        pairs = [(table[c][i], 0.0) for c in range(2) for i in range(2)]
        items.append(answered(example("winoground", number), scores=pairs))
    official = {name: 100 * value for name, value in winoground.score(tables).items()}
    assert judged("winoground", items) == pytest.approx(official)
    constant = BENCHMARKS["winoground"].constant([]).scores
    tied = [answered(example("winoground"), scores=[constant] * 4)]
    assert judged("winoground", tied) == {"text": 0, "image": 0, "group": 0}


def test_raven_picks_the_panel_with_the_likeliest_yes() -> None:
    yes = [(-3.0, -1.0)] * 8
    yes[2] = (-2.0, -1.0)
    right = answered(example("raven"), scores=yes)
    wrong = answered(example("raven", 1, answer_index=5), scores=yes)
    assert judged("raven", [right, wrong]) == {"accuracy": 50}
    constant = BENCHMARKS["raven"].constant([]).scores
    assert judged("raven", [answered(example("raven"), scores=[constant] * 8)]) == {
        "accuracy": 12.5
    }


def test_vcr_picks_the_likeliest_text_and_its_constant_a_place() -> None:
    items = [
        answered(example("vcr"), "b", scores=[(-3, -1, -2, -4)]),
        answered(example("vcr", 1), "c", scores=[(-3, -2, -1, -4)]),
    ]
    assert judged("vcr", items) == {"accuracy": 50}
    train = [example("vcr", n, split="train", answer_index=k) for n, k in enumerate([3, 3, 1])]
    constant = BENCHMARKS["vcr"].constant(train)
    assert np.argmax(constant.scores) == 3


def test_captions_equal_the_official_scorer() -> None:
    references = [
        ("a red ball on a box", "a ball"),
        ("two dogs play in the snow",),
        ("a blue cat",),
    ]
    captions = ["a red ball", "two dogs in snow", "a blue cat"]
    items = [
        answered(example("caption", number, answers=answers), text)
        for number, (answers, text) in enumerate(zip(references, captions, strict=True))
    ]
    official = caption.score(captions, references).overall
    ours = judged("coco_caption", items)
    for name in ("CIDEr", "Bleu_1", "Bleu_2", "Bleu_3", "Bleu_4", "ROUGE_L"):
        assert ours[name] == pytest.approx(100 * official[name])
    for name in ("coco_caption", "flickr30k", "nocaps"):
        assert set(BENCHMARKS[name].not_computed([])) == {"METEOR", "SPICE"}


def test_gqa_chance_is_a_random_training_answer_to_every_question() -> None:
    train = [example("vqa", number, split="train", target=target) for number, target in enumerate(
        ["red", "red", "red", "blue"])]  # fmt: skip

    def ask(number: int, target: str, **meta: object) -> Example:
        return example("vqa", number, target=target, meta={"question_id": str(number), **meta})

    asked = [
        ask(0, "red", entailed=["1", "2"], detailed="", valid=["red", "sky"], plausible=["sky"]),
        ask(1, "blue", balanced=False, entailed=["2"]),
        ask(2, "none"),
        ask(3, "blue", entailed=["0"], detailed="", valid=["red", "blue"], plausible=["blue"]),
    ]
    columns = BENCHMARKS["gqa"].chance(asked, train)
    assert columns is not None
    chance = report(BENCHMARKS["gqa"], columns)
    assert chance["accuracy"] == pytest.approx(100 * (0.75 + 0 + 0.25) / 3)
    mean_of_entailed = 0.75 * (0.25 + 0) / 2 + 0.25 * 0.75
    assert chance["consistency"] == pytest.approx(100 * mean_of_entailed / (0.75 + 0.25))
    assert chance["validity"] == pytest.approx(100 * (0.75 + 1) / 2)
    assert chance["plausibility"] == pytest.approx(100 * (0 + 0.25) / 2)
    assert BENCHMARKS["gqa"].chance(asked, []) is None


class AnySums(dict[str, np.ndarray]):
    """Some sum for whatever column is asked for."""

    def __missing__(self, name: str) -> np.ndarray:
        self[name] = np.array(100.0 + 7 * len(self))
        return self[name]


def test_no_metric_but_a_count_changes_where_all_sums_are_doubled() -> None:
    """What `share_out` needs of a metric that is no mean over items."""
    counts = {("mantis", "swap_pairs")}
    for benchmark in BENCHMARKS.values():
        for name, metric in benchmark.metrics.items():
            sums = AnySums()
            value = float(metric.formula(sums))
            twice = {column: 2 * one for column, one in sums.items()}
            wanted = 2 * value if (benchmark.name, name) in counts else value
            assert float(metric.formula(twice)) == pytest.approx(wanted), (benchmark.name, name)
