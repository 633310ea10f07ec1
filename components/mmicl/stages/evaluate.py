"""Stage evaluate: benchmarks with controls over the test splits, by the official rules."""

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from mmicl.benchmarks import find_benchmark
from mmicl.benchmarks.predictions import PredictionStream
from mmicl.benchmarks.report import write_report
from mmicl.benchmarks.requests import Protocol
from mmicl.benchmarks.runner import Asker, Result, run_benchmark, write_results
from mmicl.config import Config
from mmicl.files import read_rows, write_json
from mmicl.launch.estimate import order_benchmarks
from mmicl.mic.budget import Budget
from mmicl.mic.templates import load_bank
from mmicl.paths import Paths
from mmicl.processes import map_in_processes, map_on_gpus
from mmicl.records import Example
from mmicl.stages import StageContext

if TYPE_CHECKING:
    from mmicl.model.inference import Predictor


def run(context: StageContext) -> None:
    """Write scores.json, metrics.json, predictions and evaluation.html under reports.

    Until all are there, each benchmark's predictions stand in `predictions` of the run folder,
    line by line as the model answers.

    Raises:
        UserError: params name an unknown benchmark.
        DataError: Examples, pictures or weights are missing or do not fit.
    """
    config, paths = context.config, context.paths
    declared = {name: find_benchmark(name) for name in config.evaluate.benchmarks}
    os.environ.setdefault("OMP_NUM_THREADS", str(config.launch.threads))
    import torch

    from mmicl.images.store import ImageStore

    streamed = context.run_folder / "predictions"
    measuring, names = Measuring(config, paths, streamed), order_benchmarks(config)
    processes, gpus = config.launch.processes, torch.cuda.device_count()
    if min(gpus, processes, len(names)) > 1:
        measured = map_on_gpus(measuring, names, min(gpus, processes))
    else:
        measuring.load("cuda" if gpus else "cpu")  # once, for all that are forked
        measured = map_in_processes(measuring, names, 1 if gpus else processes)
    results = {name: measured[name][0] for name in sorted(measured)}
    context.facts.update(asked=sum(new for _, new in measured.values()), answers=_count(results))
    write_results(paths.scores, paths.predictions, results)
    shutil.rmtree(streamed, ignore_errors=True)  # the tables have all of it, redrawn ones too
    write_json(paths.metrics, {name: _headline(one) for name, one in results.items()})
    images = ImageStore([paths.images(name) for name in config.datasets])
    write_report(paths.evaluation, results, declared, images, config.seed)


class Measuring:
    """Asks a trained model the benchmarks that it is called with.

    What that takes is loaded before the first, by each process that was not forked from one that
    has loaded it.

    Args:
        config: Everything.
        paths: Of the checkout.
        streamed: Folder in which predictions stand as they come.
    """

    def __init__(self, config: Config, paths: Paths, streamed: Path) -> None:
        self.config, self.paths, self.streamed = config, paths, streamed
        self._loaded: tuple[Predictor, str] | None = None

    def load(self, device: str) -> "tuple[Predictor, str]":
        """The model on a device with its pictures, and its key among answers; loaded once."""
        if self._loaded is None:
            from mmicl.benchmarks.answering import model_key
            from mmicl.images.store import ImageStore
            from mmicl.model.features import DTYPES, FeatureStore, feature_key
            from mmicl.model.inference import Predictor
            from mmicl.model.loading import load_model

            config, paths = self.config, self.paths
            model, processor = load_model(
                config.model.base,
                config.model.revision,
                instruct=config.model.instruct_qformer,
                trained=[paths.pretrained, paths.finetuned],
            )
            model.to(device, DTYPES[config.evaluate.precision])  # type: ignore[arg-type]
            images = ImageStore([paths.images(name) for name in config.datasets])
            # Kept as they come: params of the training's feature cache must not change scores.
            key = feature_key(model, processor, "fp32")
            features = FeatureStore(paths.cache("features") / key, key, "fp32")
            batch = config.launch.evaluation_batch
            predictor = Predictor(model, processor, images, features, batch_size=batch)
            self._loaded = predictor, model_key(model, processor)
        return self._loaded

    def __call__(self, name: str, gpu: int | None = None) -> tuple[Result, int]:
        """A benchmark's result, and how many answers were not known before.

        Args:
            name: Of the benchmark's entry in params.
            gpu: To load the model on, where nothing is loaded.
        """
        from mmicl.benchmarks.answering import AnswerCache

        evaluate = self.config.evaluate
        wanted = evaluate.benchmarks[name]
        predictor, key = self.load("cpu" if gpu is None else f"cuda:{gpu}")
        examples = read_rows(self.paths.examples(wanted.dataset) / "examples.parquet", Example)
        with AnswerCache(self.paths.cache("predictions") / key) as cache:
            known = len(cache)
            result = run_benchmark(
                self._protocol(name, predictor.processor.count),
                examples,
                Asker(
                    predictor,
                    cache,
                    evaluate.max_new_tokens,
                    _show(name),
                    PredictionStream(self.streamed / f"{name}.jsonl"),
                ),
                limit=wanted.limit,
                resamples=evaluate.bootstrap,
                draws=evaluate.exemplar_draws,
                controls=evaluate.controls,
            )
            _print_result(name, result)
            return result, len(cache) - known

    def _protocol(self, name: str, count_tokens: Callable[[str], int]) -> Protocol:
        """How a benchmark is asked."""
        config = self.config
        evaluate, build = config.evaluate, config.build
        in_context = build.scheme.in_context and evaluate.in_context
        return Protocol(
            find_benchmark(name),
            load_bank(self.paths.bank),
            build.scheme.model_copy(update={"in_context": in_context}),
            evaluate.benchmarks[name].shots,
            config.seed,
            entry=name,
            budget=Budget(evaluate.max_images, evaluate.max_tokens, count_tokens),
        )


def _headline(result: Result) -> dict[str, float]:
    """The values that a person looks at first."""
    found = result.report["metrics"]
    names = [name for name in result.report["headline"] if name in found]
    return {name: found[name]["value"] for name in names}


def _count(results: dict[str, Result]) -> int:
    return sum(len(result.answers) for result in results.values())


def _show(name: str) -> Callable[[int, int], None]:
    """Say how far a benchmark is."""

    def show(done: int, number: int) -> None:
        sys.stdout.write(f"{name}: {done}/{number} requests\n")
        sys.stdout.flush()

    return show


def _print_result(name: str, result: Result) -> None:
    """The benchmark's first metric beside its controls."""
    metric, found = next(iter(result.report["metrics"].items()))
    controls = {"chance": found["chance"], **found["controls"]}
    beside = ", ".join(f"{key} {value}" for key, value in controls.items())
    sys.stdout.write(
        f"{name}: {metric} {found['value']} [{found['low']}, {found['high']}] of "
        f"{result.report['n']} items; {beside}\n"
    )
    for figures, needs in result.report.get("not_computed", {}).items():
        sys.stdout.write(f"{name}: {figures} not computed: {needs}\n")
    sys.stdout.flush()
