"""Start a deployment's run, follow it to its end in a terminal, cancel it."""

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any
from uuid import UUID

import httpx
from prefect import State
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import LogFilter, LogFilterFlowRunId
from prefect.client.schemas.sorting import LogSort
from prefect.states import Cancelling

POLL_SECONDS = 0.5
PATIENCE_SECONDS = 90
"""How long the server may not answer."""
CANCEL_SECONDS = 40


def start(deployment: str, parameters: Mapping[str, Any], environment: Mapping[str, str]) -> UUID:
    """Create a run of a deployment.

    Args:
        deployment: `FLOW/NAME`.
        parameters: Over those of the deployment.
        environment: Variables for this run, over those of the worker.
    """
    with get_client(sync_client=True) as client:
        found = client.read_deployment_by_name(deployment)
        run = client.create_flow_run_from_deployment(
            found.id,
            parameters=dict(parameters),
            job_variables={"env": dict(environment)} if environment else None,
        )
    return run.id


def follow(run_id: UUID, say: Callable[[str], None], check: Callable[[], None]) -> State:
    """Show a run's lines as they come, until it ends.

    Args:
        run_id: The flow run.
        say: Takes each line.
        check: Called at every look; it may mend what the run needs.

    Returns:
        The state in which it ended.

    Raises:
        httpx.TransportError: The server does not answer for a long time.
    """
    seen, answered = 0, time.monotonic()
    with get_client(sync_client=True) as client:
        while True:
            check()
            try:
                state = client.read_flow_run(run_id).state
                seen += _show(client, run_id, seen, say)
                answered = time.monotonic()
            except httpx.TransportError:
                if time.monotonic() - answered > PATIENCE_SECONDS:
                    raise
                state = None
            if state is not None and state.is_final():
                time.sleep(1)  # its last lines are on their way
                _show(client, run_id, seen, say)
                return state
            time.sleep(POLL_SECONDS)


def cancel(run_id: UUID, say: Callable[[str], None]) -> None:
    """Ask for a run to be cancelled, and wait a while until it is."""
    end = time.monotonic() + CANCEL_SECONDS
    asked = False
    with get_client(sync_client=True) as client, suppress(httpx.TransportError):
        while time.monotonic() < end:
            state = client.read_flow_run(run_id).state
            if state is None or state.is_final():
                return
            if not asked:
                say("cancelling the flow run")
                client.set_flow_run_state(run_id, Cancelling())
                asked = True
            time.sleep(POLL_SECONDS)


def _show(client: SyncPrefectClient, run_id: UUID, seen: int, say: Callable[[str], None]) -> int:
    """Show the lines behind those that were seen, and return how many there were."""
    which = LogFilter(flow_run_id=LogFilterFlowRunId(any_=[run_id]))
    total = 0
    while lines := client.read_logs(
        which, limit=200, offset=seen + total, sort=LogSort.TIMESTAMP_ASC
    ):
        total += len(lines)
        for line in lines:
            # Ours, not the engine's; what begins with our name is said once, at the end.
            if line.name == "mmicl" and not line.message.startswith("mmicl: "):
                say(line.message)
    return total
