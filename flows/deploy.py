"""The work pool and the deployments of prefect.yaml, made through Prefect's client."""

import shlex
import sys
from pathlib import Path
from typing import Any

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import WorkPoolCreate, WorkPoolUpdate
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import StateType
from prefect.client.schemas.sorting import FlowRunSort
from prefect.exceptions import ObjectNotFound
from prefect.states import Cancelled, Crashed
from prefect.utilities.callables import parameter_schema
from prefect.workers.process import ProcessWorker
from ruamel.yaml import YAML

from flows.ablation import ablation
from flows.full import full

FLOWS = {"flows.full.full": full, "flows.ablation.ablation": ablation}
"""Entrypoint, as in prefect.yaml -> flow."""


def make_pool(client: SyncPrefectClient, root: Path, pool: str) -> None:
    """Make or update the work pool.

    One flow run at a time: two would fight over the checkout's stages.

    Args:
        client: A client of the checkout's server.
        root: The checkout; flow runs work in it.
        pool: The work pool's name.
    """
    template = ProcessWorker.get_default_base_job_template()
    variables: dict[str, Any] = template["variables"]["properties"]
    variables["working_dir"]["default"] = str(root)
    # Without a command Prefect resolves the flow's folder in one more process, for seconds.
    variables["command"]["default"] = shlex.join([sys.executable, "-m", "prefect.engine"])
    try:
        client.read_work_pool(pool)
        update = WorkPoolUpdate(base_job_template=template, concurrency_limit=1)
        client.update_work_pool(pool, update)
    except ObjectNotFound:
        client.create_work_pool(
            WorkPoolCreate(
                name=pool, type="process", base_job_template=template, concurrency_limit=1
            )
        )


def deploy(client: SyncPrefectClient, root: Path) -> None:
    """Make or update every deployment of prefect.yaml; their work pools must be there."""
    for wanted in YAML(typ="safe").load(root / "prefect.yaml")["deployments"]:
        flow = FLOWS[wanted["entrypoint"]]
        client.create_deployment(
            client.create_flow_from_name(flow.name),
            wanted["name"],
            description=wanted["description"],
            entrypoint=wanted["entrypoint"],
            parameters=wanted["parameters"],
            work_pool_name=wanted["work_pool"]["name"],
            parameter_openapi_schema=parameter_schema(flow).model_dump(),
            enforce_parameter_schema=True,
        )


def reap(client: SyncPrefectClient) -> int:
    """End the flow runs whose worker is gone, and return how many there were.

    To be called while this checkout has no worker: what seems to be under way cannot be.
    """
    gone = Crashed(message="its worker was gone")
    never = Cancelled(message="the server was gone before a worker took it")
    ends = {
        StateType.RUNNING: gone,
        StateType.PENDING: gone,
        StateType.CANCELLING: Cancelled(message="its worker was gone"),
        StateType.SCHEDULED: never,
    }
    which = FlowRunFilter(state=FlowRunFilterState(type=FlowRunFilterStateType(any_=list(ends))))
    count = 0
    while dead := client.read_flow_runs(
        flow_run_filter=which, limit=100, sort=FlowRunSort.START_TIME_ASC
    ):
        for run in dead:
            if run.state is not None:
                client.set_flow_run_state(run.id, ends[run.state.type], force=True)
        count += len(dead)
    return count
