"""From official files through the reader, the prompts and the answers to the official score.

Right answers give the top score; of answers that are partly wrong our figures are those that
`mmicl score` gives for the same answers in the dataset's official form.
"""

import json
import math
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from official_choices import CHOICES
from official_written import WRITTEN

from mmicl.augment.bank import shipped_bank
from mmicl.benchmarks import BENCHMARKS
from mmicl.benchmarks.benchmark import Item
from mmicl.benchmarks.intervals import sum_columns
from mmicl.benchmarks.requests import (
    Asked,
    Protocol,
    choose_examples,
    shuffle_pictures,
    write_requests,
)
from mmicl.benchmarks.score import score_files
from mmicl.benchmarks.scorers import wups
from mmicl.errors import UserError
from mmicl.files import read_rows
from mmicl.mic.exemplars import ExemplarPool
from mmicl.mic.scheme import FULL_SCHEME
from mmicl.records import PLACEHOLDER, Example, Prediction, Request
from mmicl.sources import EXAMPLES, READERS, ingest_dataset

DATASETS = WRITTEN | CHOICES
NAMES = sorted(DATASETS)
TOP = {"mean_rank": 1.0, "CIDEr": None, "CIDEr_in": None, "CIDEr_near": None, "CIDEr_out": None}
"""What is not 100 where all is right; CIDEr has no top."""


def need_words(name: str) -> None:
    """Skip where NLTK lacks what the benchmark is judged by."""
    if name == "nextqa_open":
        try:
            wups.load_words()
        except UserError as error:
            pytest.skip(str(error))


def read(name: str, folder: Path) -> list[Example]:
    """The Examples of a dataset's official files."""
    ingest_dataset(
        READERS[BENCHMARKS[name].reader or name], folder / "official", folder / "examples",
        folder / "images", name=name, max_quarantined=0, resplit=DATASETS[name].resplit,
        quarantine=folder / "quarantine",
    )  # fmt: skip
    return read_rows(folder / "examples" / EXAMPLES, Example)


@pytest.fixture(scope="module")
def ask(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., tuple[Path, list[Asked]]]:
    """The official files of a dataset, and what its benchmark asks of them."""

    @cache
    def run(name: str, without: str = "") -> tuple[Path, list[Asked]]:
        folder = tmp_path_factory.mktemp(name)
        DATASETS[name].write(folder / "official")
        if without:
            (folder / "official" / without).unlink()
        examples = read(name, folder)
        protocol = Protocol(BENCHMARKS[name], shipped_bank(), FULL_SCHEME, 0, seed=1)
        chosen = choose_examples(protocol, examples, 100)
        assert set(chosen.excluded) <= {"left out by the official score"}
        assert len(chosen.examples) + chosen.excluded.total() == len(examples)
        return folder, write_requests(protocol, chosen.examples, ExemplarPool(()))

    return run


def reply(request: Request, right: bool) -> Prediction:
    """The right answer, or another; a wrong yes is no, and of options the next is likeliest."""
    text, scores = request.target if right else "quite another thing", ()
    if request.candidates:
        best = request.candidates.index(request.target)
        best = best if right else (best + 1) % len(request.candidates)
        text = request.candidates[best]
        target = request.target
        scores = tuple(
            0.0 if place == best else -9.0 if one == target else -1.0 - place / 200
            for place, one in enumerate(request.candidates)
        )
    return Prediction(
        request=request.id, benchmark=request.benchmark, control="", text=text, scores=scores
    )


def answer(asked: Sequence[Asked], right: Callable[[int], bool]) -> list[Item]:
    """Every item with right or wrong answers, by its place."""
    return [
        Item(example, requests, tuple(reply(request, right(place)) for request in requests))
        for place, (example, requests) in enumerate(asked)
    ]


def measure(name: str, items: Sequence[Item]) -> dict[str, float]:
    benchmark = BENCHMARKS[name]
    sums = sum_columns(benchmark.judge(items))
    values = {key: float(metric.formula(sums)) for key, metric in benchmark.metrics.items()}
    return {key: value for key, value in values.items() if not math.isnan(value)}


def look_up(value: Any, path: str) -> float:
    for key in path.split("."):
        value = value[key]
    return float(value)


@pytest.mark.parametrize("name", NAMES)
def test_right_answers_give_the_top_score(name: str, ask) -> None:
    need_words(name)
    _, asked = ask(name)
    right = measure(name, answer(asked, lambda _: True))
    wrong = measure(name, answer(asked, lambda _: False))
    for metric, value in right.items():
        if not BENCHMARKS[name].metrics[metric].ranked:
            continue
        if TOP.get(metric, 100.0) is not None:
            assert value == pytest.approx(TOP.get(metric, 100.0)), metric
        sign = -1 if metric == "mean_rank" else 1
        assert sign * wrong[metric] < sign * value, metric


@pytest.mark.parametrize("name", NAMES)
def test_partly_wrong_answers_score_as_officially(name: str, ask, tmp_path: Path) -> None:
    need_words(name)
    folder, asked = ask(name)
    dataset = DATASETS[name]
    if dataset.predict is None:
        pytest.skip("no official form")
    items = answer(asked, lambda place: place % 2 == 0)
    value = dataset.predict(items)
    predictions = tmp_path / f"predictions{dataset.suffix}"
    predictions.write_text(value if isinstance(value, str) else json.dumps(value))
    references = folder / "official" / dataset.references
    official = score_files(dataset.scorer or name, predictions, references)["metrics"]
    ours = measure(name, items)
    for metric, (path, unit) in dataset.metrics.items():
        assert ours[metric] == pytest.approx(unit * look_up(official, path), abs=0.006), metric
    assert set(dataset.metrics) <= set(ours)


@pytest.mark.parametrize(
    ("name", "file"), [(name, file) for name in NAMES for file in DATASETS[name].optional]
)
def test_without_an_optional_file_its_figures_are_left_out_and_said(
    name: str, file: str, ask
) -> None:
    whole, less = (
        ([example for example, _ in asked], measure(name, answer(asked, lambda _: True)))
        for _, asked in (ask(name), ask(name, file))
    )
    assert set(whole[1]) - set(less[1]) == set(DATASETS[name].optional[file])
    said = BENCHMARKS[name].not_computed
    assert len(said(less[0])) == len(said(whole[0])) + 1


@pytest.mark.parametrize("name", NAMES)
def test_requests_are_of_the_declared_kind_and_show_every_picture(name: str, ask) -> None:
    for example, requests in ask(name)[1]:
        for request in requests:
            assert request.kind == BENCHMARKS[name].kind
            assert request.prompt.count(PLACEHOLDER) == len(request.images)
            assert bool(request.images) == bool(example.images)
            if request.candidates:
                assert request.target in request.candidates


@pytest.mark.parametrize("name", NAMES)
def test_controls_are_worked_out_and_never_reach_right_answers(name: str, ask) -> None:
    """Chance and the constant answer, without and with a training split of the same items."""
    need_words(name)
    _, asked = ask(name)
    examples, benchmark = [example for example, _ in asked], BENCHMARKS[name]
    first = benchmark.headline[0]
    top = measure(name, answer(asked, lambda _: True))[first]
    for train in ([], [one.model_copy(update={"split": "train"}) for one in examples]):
        chance = benchmark.chance(examples, train)
        if chance is not None:
            level = float(benchmark.metrics[first].formula(sum_columns(chance)))
            assert 0 <= level < top
        constant = benchmark.constant(train)
        items = [
            Item(example, requests, tuple(
                Prediction(request=one.id, benchmark=name, control="majority",
                           text=constant.text, scores=constant.scores) for one in requests
            ))
            for example, requests in asked
        ]  # fmt: skip
        assert measure(name, items)[first] < top


@pytest.mark.parametrize("name", ["visdial", "raven_iq"])
def test_questions_of_a_benchmarks_own_take_shuffled_pictures(name: str, ask) -> None:
    _, asked = ask(name)
    examples = [example for example, _ in asked]
    protocol = Protocol(BENCHMARKS[name], shipped_bank(), FULL_SCHEME, 0, seed=1)
    dealt = shuffle_pictures(examples, seed=1)
    shuffled = write_requests(protocol, examples, ExemplarPool(()), dealt)
    for (_, own), (_, other) in zip(asked, shuffled, strict=True):
        assert [one.prompt for one in own] == [one.prompt for one in other]
        assert [len(one.images) for one in own] == [len(one.images) for one in other]
