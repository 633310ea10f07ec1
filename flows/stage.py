"""The one task: bring a stage group up to date through DVC."""

import os
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress

import httpx
from prefect.artifacts import create_link_artifact
from prefect.context import TaskRunContext

from flows.frame import LOG, stage_task
from mmicl.lineage import recorded_fingerprint
from mmicl.paths import Paths
from mmicl.pipeline import StageResult, make_error, try_up_to_date
from mmicl.registry.summary import MLFLOW_PORT
from mmicl.tracking import PIPELINE_VARIABLE
from mmicl.tracking.store import Store

HOUR = 3600
TIMEOUTS = {"pretrain": 14 * 24 * HOUR, "finetune": 14 * 24 * HOUR}
"""Seconds after which a stage group is ended; a day for those not named."""


def bring_up_to_date(paths: Paths, group: str) -> list[StageResult]:
    """Bring a stage group up to date as a task that is named after it.

    Raises:
        MmiclError: The error of the stage that failed. Only a transient one was tried again.
    """
    named = _bring_up_to_date.with_options(
        name=group, task_run_name=group, timeout_seconds=TIMEOUTS.get(group, 24 * HOUR)
    )
    return named(paths, group)


@stage_task()
def _bring_up_to_date(paths: Paths, group: str) -> list[StageResult]:
    """Run DVC for a stage group; its lines go to the log, its members into the run's name."""
    results = try_up_to_date(paths, [group], on_line=LOG.info)
    _rename_run(f"{group}: {summarize(results)}")
    failures = [result for result in results if result.status == "failed"]
    if failures:
        raise make_error(failures[0])
    link_mlflow(paths, group)
    return results


def summarize(results: Sequence[StageResult]) -> str:
    """How the members of a group ended, in a few words: `2 ran, 5 up to date (12.3 s)`."""
    words = Counter(result.status.replace("-", " ") for result in results)
    seconds = sum(result.seconds for result in results)
    if len(results) == 1:
        return f"{next(iter(words))} ({seconds:.1f} s)"
    return f"{', '.join(f'{count} {word}' for word, count in words.items())} ({seconds:.1f} s)"


def link_mlflow(paths: Paths, group: str) -> None:
    """Leave a link to the stage's MLflow run, or to the pipeline's, in Prefect's UI."""
    pipeline = os.environ.get(PIPELINE_VARIABLE)
    mark = recorded_fingerprint(paths, group)
    store = Store(paths)
    runs = store.find({"mmicl.stage": group, "mmicl.fingerprint": mark}) if mark else []
    run_id = runs[0].info.run_id if runs else pipeline
    if run_id is not None:
        address = f"http://127.0.0.1:{MLFLOW_PORT}/#/experiments/{store.experiment}/runs/{run_id}"
        # This client is new, and does not wait for a server that is just starting again.
        with suppress(httpx.TransportError):
            create_link_artifact(address, link_text=f"MLflow: {group}", key=f"mlflow-{group}")


def _rename_run(name: str) -> None:
    """Give the present task run a name that says what came of it.

    The server learns a task run's name from the events of its states, so the name is set where
    the next of them is made from.
    """
    context = TaskRunContext.get()
    if context is not None:
        context.task_run.name = name
