"""What every flow of this project has around it: a worker, MLflow, errors, second tries."""

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from prefect import State, task
from prefect.cache_policies import NO_CACHE
from prefect.states import Failed
from prefect.tasks import exponential_backoff

from mmicl.errors import MmiclError, TransientError
from mmicl.supervision import die_with_parent
from mmicl.tracking import RunStatus

LOG = logging.getLogger("mmicl")
LOG.setLevel(logging.INFO)
# Lines of this logger are what a person follows; prefect.toml sends them to the server.


def may_pass(task: Any, run: Any, state: Any) -> bool:
    """Whether it is worth trying again: a data error stays one."""
    return isinstance(state.result(raise_on_failure=False), TransientError)


stage_task = partial(
    task,
    retries=3,
    retry_delay_seconds=exponential_backoff(10),
    retry_condition_fn=may_pass,
    cache_policy=NO_CACHE,  # DVC knows what is up to date
    persist_result=False,
)
"""A task that runs stages; only a transient error is tried again."""


def die_with_worker() -> None:
    """End this flow run with its worker: of a killed one, nothing goes on."""
    if os.environ.get("PREFECT__FLOW_RUN_ID"):
        die_with_parent()


def fail(error: MmiclError) -> State:
    """The state that says which foreseen error ended a flow; its line goes to the log."""
    LOG.error("mmicl: %s", error)
    return Failed(name=f"{error.kind.capitalize()} error", message=str(error))


@contextmanager
def tracked(end: Callable[[RunStatus], None]) -> Iterator[None]:
    """Call `end` with how what stands within has ended, for the MLflow run that frames a flow."""
    try:
        yield
    except BaseException as error:
        end("FAILED" if isinstance(error, Exception) else "KILLED")
        raise
    end("FINISHED")
