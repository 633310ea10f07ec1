"""Stage evaluate: benchmarks with controls over the test splits, by the official rules."""

import os
import shutil
import sys
from collections.abc import Callable

from mmicl.benchmarks import find_benchmark
from mmicl.benchmarks.predictions import PredictionStream
from mmicl.benchmarks.report import write_report
from mmicl.benchmarks.requests import Protocol
from mmicl.benchmarks.runner import Asker, Result, run_benchmark, write_results
from mmicl.files import read_rows, write_json
from mmicl.mic.budget import Budget
from mmicl.mic.templates import load_bank
from mmicl.processes import map_in_processes
from mmicl.records import Example
from mmicl.stages import StageContext


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

    from mmicl.benchmarks.answering import AnswerCache, model_key
    from mmicl.images.store import ImageStore
    from mmicl.model.features import FeatureStore, feature_key
    from mmicl.model.inference import Predictor
    from mmicl.model.loading import load_model

    model, processor = load_model(
        config.model.base,
        config.model.revision,
        instruct=config.model.instruct_qformer,
        trained=[paths.pretrained, paths.finetuned],
    )
    model.to("cuda" if torch.cuda.is_available() else "cpu")  # type: ignore[arg-type]
    images = ImageStore([paths.images(name) for name in config.datasets])
    # Always float32: params of the training's feature cache must not change scores.
    key = feature_key(model, processor, "fp32")
    features = FeatureStore(paths.cache("features") / key, key, "fp32")
    predictor = Predictor(
        model, processor, images, features, batch_size=config.launch.evaluation_batch
    )
    bank, answers = load_bank(paths.bank), model_key(model, processor)
    budget = Budget(config.evaluate.max_images, config.evaluate.max_tokens, processor.count)

    in_context = config.build.scheme.in_context and config.evaluate.in_context
    scheme = config.build.scheme.model_copy(update={"in_context": in_context})
    streamed = context.run_folder / "predictions"

    def measure(name: str) -> tuple[Result, int]:
        """A benchmark's result, and how many answers were not known before."""
        wanted = config.evaluate.benchmarks[name]
        protocol = Protocol(
            declared[name], bank, scheme, wanted.shots, config.seed, entry=name, budget=budget
        )
        examples = read_rows(paths.examples(wanted.dataset) / "examples.parquet", Example)
        with AnswerCache(paths.cache("predictions") / answers) as cache:
            known = len(cache)
            result = run_benchmark(
                protocol,
                examples,
                Asker(
                    predictor,
                    cache,
                    config.evaluate.max_new_tokens,
                    _show(name),
                    PredictionStream(streamed / f"{name}.jsonl"),
                ),
                limit=wanted.limit,
                resamples=config.evaluate.bootstrap,
                draws=config.evaluate.exemplar_draws,
                controls=config.evaluate.controls,
            )
            _print_result(name, result)
            return result, len(cache) - known

    processes = 1 if torch.cuda.is_available() else config.launch.processes
    measured = map_in_processes(measure, sorted(config.evaluate.benchmarks), processes)
    results = {name: result for name, (result, _) in measured.items()}
    context.facts.update(asked=sum(new for _, new in measured.values()), answers=_count(results))
    write_results(paths.scores, paths.predictions, results)
    shutil.rmtree(streamed, ignore_errors=True)  # the tables have all of it, redrawn ones too
    write_json(paths.metrics, {name: _headline(one) for name, one in results.items()})
    write_report(paths.evaluation, results, declared, images, config.seed)


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
