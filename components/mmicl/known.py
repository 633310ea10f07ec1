"""Whether params name what there is, asked before anything runs.

A stage would refuse the same names, but the last ones after hours of training.
"""

from mmicl.benchmarks import find_benchmark
from mmicl.config import Config
from mmicl.errors import UserError
from mmicl.sources import READERS, find_reader


def check_names(config: Config) -> None:
    """See that readers, benchmarks and scores in params exist and fit one another.

    Raises:
        UserError: The first that does not.
    """
    for name, dataset in config.datasets.items():
        find_reader(dataset.reader, f"datasets.{name}.reader")
    for entry in config.evaluate.benchmarks:
        _check_entry(config, entry)
    for margin in config.register_.margins:
        _check_margin(margin)


def _check_entry(config: Config, entry: str) -> None:
    """A benchmark, and a dataset that has what it asks."""
    benchmark, named = find_benchmark(entry), config.evaluate.benchmarks[entry].dataset
    task = READERS[config.datasets[named].reader].task
    if task != benchmark.task:
        fitting = [
            name
            for name, dataset in config.datasets.items()
            if READERS[dataset.reader].task == benchmark.task
        ]
        raise UserError(
            f"{named} has examples of task {task}, but {benchmark.name} asks those of task "
            f"{benchmark.task}",
            where=f"evaluate.benchmarks.{entry}.dataset",
            remedy=f"name one of {', '.join(fitting) or 'the datasets of that task'}",
        )


def _check_margin(margin: str) -> None:
    """A benchmark and one of its scores; whether it is evaluated matters to `register` alone."""
    entry, _, metric = margin.partition(".")
    where = f"register.margins.{margin}"
    known = find_benchmark(entry, where).metrics
    if metric not in known:
        raise UserError(
            f"{entry} has no score {metric}",
            where=where,
            remedy=f"it has {', '.join(known)}",
        )
