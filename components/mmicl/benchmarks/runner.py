"""Running benchmarks: ask, judge, hold against the controls, report.

Controls: `chance` (what guessing earns, worked out, not drawn), `majority` (the best constant
answer), and those that ask the model again, as wanted: `blank` (every picture grey), `shuffled`
(pictures of other items), `text_only` (no picture and no declaration in the prompt). A score counts
from its best control up.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import fmean, stdev
from typing import TYPE_CHECKING, Any

import numpy as np

from mmicl.benchmarks.answering import Answer, AnswerCache, answer_requests
from mmicl.benchmarks.benchmark import Benchmark, Columns, Item
from mmicl.benchmarks.intervals import bootstrap, share_out, sum_columns
from mmicl.benchmarks.predictions import Answered, PredictionStream
from mmicl.benchmarks.requests import (
    Asked,
    Protocol,
    blank_pictures,
    choose_examples,
    shuffle_pictures,
    write_requests,
)
from mmicl.config import Control
from mmicl.files import replace_folder, write_json, write_rows
from mmicl.mic.exemplars import ExemplarPool
from mmicl.records import Example, Prediction, Request, Row

if TYPE_CHECKING:
    from mmicl.model.inference import Predictor

MODEL = ""
"""The control of the model's own answers."""
ITEMS = "items.parquet"
DECIMALS = 4


class ItemScore(Row):
    """One item's value on one metric, in points; the metric is the mean of its items' values.

    Where a metric is no mean over items, the value is the item's share (`intervals.share_out`).
    """

    benchmark: str
    metric: str
    item: str
    group: str
    value: float


@dataclass(frozen=True)
class Result:
    """A benchmark's part of the report, every answer, and the items' values.

    `items` are values on metrics that are means over items: what an item earned. `shares` are those
    on the other metrics, which say nothing of an item alone.
    """

    report: dict[str, Any]
    answers: list[Answered]
    items: list[ItemScore]
    shares: list[ItemScore] = field(default_factory=list)


@dataclass(frozen=True)
class Asker:
    """The model that is asked, how long it may answer, and where its answers go at once."""

    predictor: "Predictor"
    cache: AnswerCache
    max_new_tokens: int
    on_progress: Callable[[int, int], None] | None = None
    stream: PredictionStream | None = None

    def ask(self, requests: Sequence[Request], control: str) -> list[Answer]:
        """Answer requests in order."""
        stream = self.stream

        def write(known: list[tuple[Request, Answer]]) -> None:
            if stream is not None:
                stream.add(_join(request, control, answer) for request, answer in known)

        return answer_requests(
            requests,
            self.predictor,
            self.cache,
            max_new_tokens=self.max_new_tokens,
            on_answers=write,
            on_progress=self.on_progress,
        )


def run_benchmark(
    protocol: Protocol,
    examples: Sequence[Example],
    asker: Asker,
    *,
    limit: int,
    resamples: int,
    draws: int = 1,
    controls: Collection[Control] = ("blank", "shuffled"),
) -> Result:
    """Run one benchmark with its controls.

    Scores, intervals and controls are those of the first draw of the worked examples; what the
    others were answered is kept under `draw 2`, `draw 3` and so on in place of a control.

    Args:
        protocol: The benchmark and how its requests are written.
        examples: Of its dataset, all splits.
        asker: The model.
        limit: Items at the most.
        resamples: Of the bootstrap.
        draws: Of the worked examples, where there are shots; from two on the report says what each
            gave, their mean and their standard deviation.
        controls: Those that ask the model again.

    Raises:
        DataError: The test split cannot be asked, or a picture is missing.
        UserError: Limit or shots do not fit.
    """
    benchmark, seed = protocol.benchmark, protocol.seed
    chosen = choose_examples(protocol, examples, limit)
    recast = (benchmark.recast(example) for example in examples if example.split == "train")
    train = [example for example in recast if example is not None]
    pool = ExemplarPool(
        train if protocol.shots else (), scheme=protocol.scheme, budget=protocol.budget
    )
    runs = _answer_all(protocol, chosen.examples, train, pool, asker, controls)
    columns = {control: benchmark.judge(items) for control, items in runs.items()}
    columns["chance"] = benchmark.chance(chosen.examples, train) or {}
    groups = [example.group for example in chosen.examples]
    metrics = _report_metrics(benchmark, columns, groups, resamples=resamples, seed=seed)
    redrawn = _answer_draws(protocol, chosen.examples, pool, asker, draws)
    if redrawn:
        judged = map(benchmark.judge, redrawn.values())
        _add_draws(metrics, benchmark, [columns[MODEL], *judged])
    not_computed = dict(benchmark.not_computed(chosen.examples))
    report = {
        "version": benchmark.version,
        "n": len(chosen.examples),
        "groups": len(set(groups)),
        "shots": protocol.shots,
        "excluded": dict(sorted(chosen.excluded.items())),
        "headline": list(benchmark.headline),
        "metrics": metrics,
        **({"not_computed": not_computed} if not_computed else {}),
    }
    answers = [
        _join(request, one.control, one)
        for items in (*runs.values(), *redrawn.values())
        for item in items
        for request, one in zip(item.requests, item.predictions, strict=True)
    ]
    return Result(
        report,
        answers,
        _score_items(protocol, columns[MODEL], chosen.examples, means=True),
        _score_items(protocol, columns[MODEL], chosen.examples, means=False),
    )


def write_results(scores: Path, predictions: Path, results: Mapping[str, Result]) -> None:
    """Write reports/scores.json and the folder of answers, each whole or not at all.

    The folder holds a table of answers per benchmark, and items.parquet with every item's value
    on every metric, for comparing two models item by item. A benchmark's metrics that are means
    over items come first: readers take the first one for what an item earned.
    """
    with replace_folder(predictions) as folder:
        for name, result in results.items():
            write_rows(folder / f"{name}.parquet", result.answers, Answered)
        items = [
            row for _, result in sorted(results.items()) for row in (*result.items, *result.shares)
        ]
        write_rows(folder / ITEMS, items, ItemScore)
    write_json(scores, {"benchmarks": {name: one.report for name, one in results.items()}})


def _answer_all(
    protocol: Protocol,
    examples: Sequence[Example],
    train: Sequence[Example],
    pool: ExemplarPool,
    asker: Asker,
    controls: Collection[Control],
) -> dict[str, list[Item]]:
    """The model's own answers and those of every control but chance, in a settled order."""
    asked = write_requests(protocol, examples, pool)
    runs = {MODEL: _answer(asked, asker, MODEL)}
    if "blank" in controls:
        runs["blank"] = _answer(blank_pictures(asked), asker, "blank")
    if "shuffled" in controls:
        others = shuffle_pictures(examples, protocol.seed)
        shuffled = write_requests(protocol, examples, pool, others)
        runs["shuffled"] = _answer(shuffled, asker, "shuffled")
    runs["majority"] = _answer_constantly(asked, protocol.benchmark, train)
    if "text_only" in controls:
        bare = write_requests(protocol, examples, pool, text_only=True)
        runs["text_only"] = _answer(bare, asker, "text_only")
    return runs


def _answer_draws(
    protocol: Protocol, examples: Sequence[Example], pool: ExemplarPool, asker: Asker, draws: int
) -> dict[str, list[Item]]:
    """The answers to draws of the worked examples after the first; none without shots."""
    again = range(1, draws) if protocol.shots else ()
    redrawn = {
        f"draw {number + 1}": write_requests(replace(protocol, draw=number), examples, pool)
        for number in again
    }
    return {name: _answer(asked, asker, name) for name, asked in redrawn.items()}


def _answer(asked: Sequence[Asked], asker: Asker, control: str) -> list[Item]:
    """Put requests to the model."""
    asked_for = [request for _, requests in asked for request in requests]
    answers = iter(asker.ask(asked_for, control))
    return [
        Item(example, requests, tuple(_predict(one, control, next(answers)) for one in requests))
        for example, requests in asked
    ]


def _answer_constantly(
    asked: Sequence[Asked], benchmark: Benchmark, train: Sequence[Example]
) -> list[Item]:
    """Give the same answer to every request."""
    constant = benchmark.constant(train)
    answer = Answer(constant.text, constant.scores)
    return [
        Item(example, requests, tuple(_predict(one, "majority", answer) for one in requests))
        for example, requests in asked
    ]


def _predict(request: Request, control: str, answer: Answer) -> Prediction:
    return Prediction(
        request=request.id, benchmark=request.benchmark, control=control, text=answer.text,
        scores=answer.scores,
    )  # fmt: skip


def _join(request: Request, control: str, answer: Answer | Prediction) -> Answered:
    return Answered(**dict(request), control=control, text=answer.text, scores=answer.scores)


def _report_metrics(
    benchmark: Benchmark,
    columns: Mapping[str, Columns],
    groups: Sequence[str],
    *,
    resamples: int,
    seed: int,
) -> dict[str, Any]:
    """Every metric that counts something: value, interval, chance and controls."""
    intervals = bootstrap(columns[MODEL], groups, benchmark.metrics, resamples=resamples, seed=seed)
    sums = {control: sum_columns(values) for control, values in columns.items()}
    report = {}
    for name, metric in benchmark.metrics.items():
        values = {
            control: float(metric.formula(totals)) if totals else None
            for control, totals in sums.items()
        }
        value = values.pop(MODEL)
        if value is None or np.isnan(value):
            continue
        low, high = intervals[name]
        # A percentile interval of few groups can miss the value itself by a hair.
        report[name] = {
            "value": _round(value),
            "low": _round(min(low, value)),
            "high": _round(max(high, value)),
            "chance": _round(values.pop("chance")),
            "controls": {control: _round(one) for control, one in values.items()},
        }
    return report


def _add_draws(
    metrics: Mapping[str, dict[str, Any]], benchmark: Benchmark, draws: Sequence[Columns]
) -> None:
    """Say of every metric what the draws of the worked examples gave."""
    sums = [sum_columns(columns) for columns in draws]
    for name, found in metrics.items():
        values = [float(benchmark.metrics[name].formula(totals)) for totals in sums]
        found["draws"] = {
            "values": [_round(value) for value in values],
            "mean": _round(fmean(values)),
            "deviation": _round(stdev(values)),
        }


def _score_items(
    protocol: Protocol, columns: Columns, examples: Sequence[Example], *, means: bool
) -> list[ItemScore]:
    """The items' own values on metrics that are means over items, or their shares in the others."""
    rows = []
    for name, metric in protocol.benchmark.metrics.items():
        if (metric.ratio is not None) != means:
            continue
        if metric.ratio:
            pairs = zip(*(columns[column] for column in metric.ratio), strict=True)
            values = [100 * above / below if below else None for above, below in pairs]
        elif (shares := share_out(columns, metric)) is not None:
            values = shares.tolist()
        else:
            continue
        rows += [
            ItemScore(
                benchmark=protocol.name, metric=name, item=example.id, group=example.group,
                value=_round(value) or 0.0,
            )
            for example, value in zip(examples, values, strict=True)
            if value is not None
        ]  # fmt: skip
    return rows


def _round(value: float | None) -> float | None:
    return None if value is None or np.isnan(value) else round(float(value), DECIMALS)
