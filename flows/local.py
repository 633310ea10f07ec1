"""`python -m flows.local run|ablation|up`: on this machine, from nothing to nothing running.

`run` starts Prefect's server and a worker, runs the deployment mmicl/full, shows what happens, and
ends what it started; `ablation` does so with mmicl-ablation/paper. `up` keeps server, worker and
the MLflow UI until it is told to stop.
"""

import argparse
import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from flows import services
from flows.services import HOST, Service
from mmicl.ablation.grid import choose_grid
from mmicl.config import load_config
from mmicl.errors import BusyError, MmiclError
from mmicl.paths import Paths
from mmicl.workspace import Origin, prepare_workspace, read_origin

POOL = "mmicl-local"
FORESEEN = {"User error", "Data error", "Memory error", "Transient error"}
"""Names of the states in which the flow ends on an error that was foreseen."""


def main(arguments: list[str]) -> int:
    """Run a command; an error of ours is one line and exit code 2."""
    parser = argparse.ArgumentParser(prog="python -m flows.local", description=__doc__)
    parser.add_argument("command", choices=["run", "ablation", "up"])
    parser.add_argument("--seed", type=int, action="append", help="of an ablation")
    parser.add_argument("--variant", action="append", help="of an ablation")
    options = parser.parse_args(arguments)
    command = options.command
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    paths = Paths.here()
    origin = read_origin(paths.root)
    if origin is not None:  # the run of a workspace is a run of its checkout, with parameters
        os.chdir(origin.checkout)
        paths = Paths(origin.checkout, paths.state)
    try:
        config = load_config(paths.root / "params.yaml")
        if command == "up":
            return keep_up(paths)
        if command == "ablation":
            grid = {"seeds": options.seed, "variants": options.variant}
            choose_grid(config.ablation, **grid)  # before a server is started for it
            return run_deployment(paths, "mmicl-ablation/paper", grid)
        return run(paths, origin)
    except MmiclError as error:
        _complain(str(error))
        return 2
    except KeyboardInterrupt:
        return 0 if command == "up" else 130


def run(paths: Paths, origin: Origin | None = None) -> int:
    """Run the deployment mmicl/full, and print what it came to.

    Args:
        paths: The checkout.
        origin: The profile and overrides to run with, in a workspace of their own.

    Returns:
        0 when it completes, 2 for a foreseen failure, 1 for any other.

    Raises:
        BusyError: Another flow is at work in this checkout.
    """
    parameters = {}
    if origin is not None:
        parameters = {"profile": origin.profile, "overrides": list(origin.overrides)}
    code = run_deployment(paths, "mmicl/full", parameters)
    if code == 0:
        _print_summary(paths, origin)
    return code


def run_deployment(paths: Paths, deployment: str, parameters: Mapping[str, Any]) -> int:
    """Run a deployment and follow it.

    Where `up` runs already, its services are used; otherwise they are started and ended.

    Returns:
        0 when it completes, 2 for a foreseen failure, 1 for any other.

    Raises:
        BusyError: Another flow is at work in this checkout.
    """
    port = services.wanted_port()
    port = port if services.is_free(port) else services.free_port()
    with services.hold_services(paths, "run", port) as holder:
        if holder is None:
            with _run_services(paths, port) as own:
                return _follow(deployment, parameters, own)
        if holder.command == "up":
            _say(f"using the services of mmicl up (PID {holder.pid})")
            _enter_prefect(paths, holder.port)
            services.prefect_server(paths, holder.port).wait()
            return _follow(deployment, parameters, [])
        raise BusyError(
            f"mmicl run is at work here (PID {holder.pid})",
            where=paths.root,
            remedy="wait for it, or stop it",
        )


def keep_up(paths: Paths) -> int:
    """Keep Prefect's server, a worker and the MLflow UI running until Ctrl-C or SIGTERM.

    Raises:
        BusyError: A port is taken, or this checkout's services run already.
    """
    port, mlflow_port = services.wanted_port(), services.wanted_mlflow_port()
    with services.hold_services(paths, "up", port) as holder:
        if holder is not None:
            raise BusyError(
                f"mmicl {holder.command} is at work here (PID {holder.pid})", where=paths.root
            )
        services.check_free(port, "the Prefect server", "PREFECT_API_URL=http://127.0.0.1:N/api")
        services.check_free(mlflow_port, "the MLflow UI", "MMICL_MLFLOW_PORT=N")
        mlflow = services.mlflow_server(paths, mlflow_port)
        with _stopping([mlflow]):
            mlflow.start()
            with _run_services(paths, port) as own:
                mlflow.wait()
                print(f"Prefect UI  http://{HOST}:{port}")  # noqa: T201
                print(f"MLflow UI   http://{HOST}:{mlflow_port}")  # noqa: T201
                print("In another shell: source .venv/bin/activate")  # noqa: T201
                print("Ctrl-C ends them.", flush=True)  # noqa: T201
                _watch_over([*own, mlflow])
    return 0


# --- services ------------------------------------------------------------------------------------


@contextmanager
def _run_services(paths: Paths, port: int) -> Iterator[list[Service]]:
    """Server and worker, with the deployments made and dead runs ended; yields both."""
    server = services.prefect_server(paths, port)
    worker = services.prefect_worker(paths, port, POOL)
    _say("starting the Prefect server")
    _enter_prefect(paths, port)
    with _stopping([worker, server]):  # the worker first: what it runs reports to the server
        server.start()
        from prefect.client.orchestration import get_client

        from flows.deploy import deploy, make_pool, reap  # takes seconds, while the server starts

        server.wait()
        with get_client(sync_client=True) as client:
            if dead := reap(client):
                _say(f"{dead} flow run(s) whose worker is gone: marked as crashed")
            make_pool(client, paths.root, POOL)
            worker.start()  # takes seconds, while the deployments are made
            deploy(client, paths.root)
        yield [server, worker]


@contextmanager
def _stopping(started: list[Service]) -> Iterator[None]:
    """End services on the way out, whatever the way; no signal cuts this short."""
    try:
        yield
    finally:
        before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        for number in before:
            signal.signal(number, signal.SIG_IGN)
        for service in started:
            service.stop()
        for number, handler in before.items():
            signal.signal(number, handler)


def _watch_over(kept: list[Service]) -> None:
    """Start again what ends, for ever."""
    while True:
        time.sleep(1)
        for service in kept:
            if not service.runs():
                _say(f"{service.name} ended (see {service.log}); starting it again")
                service.start()
                service.wait()


# --- one flow run --------------------------------------------------------------------------------


def _follow(deployment: str, parameters: Mapping[str, Any], own: list[Service]) -> int:
    """Run a deployment to its end and return the exit code."""
    from flows.watch import cancel, follow, start

    aliases = {key: value for key, value in os.environ.items() if key.startswith("MMICL_SOURCE_")}
    run_id = start(deployment, parameters, aliases)
    try:
        state = follow(run_id, _say, lambda: _check_services(own))
    except BaseException:
        cancel(run_id, _say)
        raise
    if state.is_completed():
        return 0
    _complain(state.message or f"the flow run ended as {state.name}")
    return 2 if state.name in FORESEEN else 1


def _check_services(own: list[Service]) -> None:
    """While a flow runs: a server that died is started again, and so is a worker.

    What the dead worker ran has ended with it, and is marked so that it does not seem to run on.
    """
    for service in own:
        if service.runs():
            continue
        _say(f"{service.name} ended (see {service.log}); starting it again")
        if service.health is None:
            from prefect.client.orchestration import get_client

            from flows.deploy import reap

            with get_client(sync_client=True) as client:
                reap(client)
        service.start()
        service.wait()


def _print_summary(paths: Paths, origin: Origin | None) -> None:
    """Print what the run came to."""
    from mmicl.registry.summary import load_summary, print_summary

    if origin is not None:
        paths = prepare_workspace(paths, origin.profile, origin.overrides)
    print_summary(load_summary(paths), paths)


def _enter_prefect(paths: Paths, port: int) -> None:
    """Make this process a client of the checkout's server; before Prefect is imported."""
    os.environ.update(services.prefect_environment(paths, port))


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201


def _complain(text: str) -> None:
    print(f"mmicl: {text}", file=sys.stderr, flush=True)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
