"""The long-lived processes of a checkout: Prefect's server and worker, and the MLflow UI."""

import fcntl
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from mmicl.errors import BusyError, ResourceError
from mmicl.paths import Paths
from mmicl.pipeline import child_environment
from mmicl.supervision import end_tree, start_supervised
from mmicl.tracking import SERVER_ENVIRONMENT, server_command

HOST = "127.0.0.1"
PREFECT_PORT, MLFLOW_PORT = 4200, 5000
START_SECONDS = 180


@dataclass
class Service:
    """A process that is kept running, with its output in a log file."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    log: Path
    health: str | None = None
    """An address that answers when it is ready."""
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    def start(self) -> None:
        """Start it, without waiting until it is ready."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as stream:
            self.process = start_supervised(self.command, env=self.environment, output=stream)

    def wait(self) -> None:
        """Wait until it answers, whoever started it.

        Raises:
            ResourceError: It ended, or did not answer in time.
        """
        end = time.monotonic() + START_SECONDS
        while self.health is not None and not answers(self.health):
            if self.process is not None and not self.runs():
                raise ResourceError(f"{self.name} ended while starting", where=self.log)
            if time.monotonic() > end:
                raise ResourceError(f"{self.name} does not answer", where=self.log)
            time.sleep(0.25)

    def runs(self) -> bool:
        """Whether the process lives."""
        return self.process is not None and self.process.poll() is None

    def stop(self) -> None:
        """End it and everything below it."""
        if self.process is not None:
            end_tree(self.process.pid, grace=8.0)
            self.process.wait()
            self.process = None


def answers(address: str) -> bool:
    """Whether a local address answers a request."""
    with suppress(OSError, urllib.error.URLError), urllib.request.urlopen(address, timeout=2):  # noqa: S310
        return True
    return False


def prefect_environment(paths: Paths, port: int) -> dict[str, str]:
    """What every Prefect process of a checkout runs with: its own server, home and code."""
    home = paths.state / "prefect"
    home.mkdir(parents=True, exist_ok=True)
    return {
        **child_environment(paths),
        "PREFECT_API_URL": f"http://{HOST}:{port}/api",
        "PREFECT_HOME": str(home),
        "PREFECT_PROFILES_PATH": str(home / "profiles.toml"),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
        "PREFECT_LOGGING_EXTRA_LOGGERS": "mmicl",
        "PREFECT_LOGGING_TO_API_BATCH_INTERVAL": "1",
        "PREFECT_WORKER_QUERY_SECONDS": "1",
        "DO_NOT_TRACK": "1",
    }


def prefect_server(paths: Paths, port: int) -> Service:
    """Prefect's server on loopback, over SQLite in the state folder."""
    return Service(
        "the Prefect server",
        [_tool("prefect"), "server", "start", "--host", HOST, "--port", str(port)],
        prefect_environment(paths, port),
        paths.state / "logs" / "prefect-server.log",
        f"http://{HOST}:{port}/api/health",
    )


def prefect_worker(paths: Paths, port: int, pool: str) -> Service:
    """A worker of this checkout's work pool."""
    return Service(
        "the Prefect worker",
        [_tool("prefect"), "worker", "start", "--pool", pool, "--type", "process"],
        prefect_environment(paths, port),
        paths.state / "logs" / "prefect-worker.log",
    )


def mlflow_server(paths: Paths, port: int) -> Service:
    """The MLflow UI on loopback."""
    paths.mlflow_database.parent.mkdir(parents=True, exist_ok=True)
    return Service(
        "the MLflow server",
        server_command(paths, port),
        {**child_environment(paths), **SERVER_ENVIRONMENT},
        paths.state / "logs" / "mlflow-server.log",
        f"http://{HOST}:{port}/health",
    )


# --- ports and the lock --------------------------------------------------------------------------


def wanted_port() -> int:
    """The port of Prefect's server: that of PREFECT_API_URL if this is on loopback, or 4200."""
    address = urlsplit(os.environ.get("PREFECT_API_URL", ""))
    if address.hostname in (HOST, "localhost") and address.port:
        return address.port
    return PREFECT_PORT


def wanted_mlflow_port() -> int:
    """The port of the MLflow UI: MMICL_MLFLOW_PORT, or 5000."""
    return int(os.environ.get("MMICL_MLFLOW_PORT") or MLFLOW_PORT)


def check_free(port: int, service: str, variable: str) -> None:
    """Make sure that a service can have its port.

    Raises:
        BusyError: Something listens there.
    """
    if not is_free(port):
        raise BusyError(
            f"the port is taken, and {service} needs it",
            where=f"{HOST}:{port}",
            remedy=f"stop what listens there, or choose another with {variable}",
        )


def is_free(port: int) -> bool:
    """Whether nothing listens on a loopback port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def free_port() -> int:
    """A loopback port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]


@dataclass(frozen=True)
class Holder:
    """Who runs the services of a checkout."""

    command: str
    pid: int
    port: int


@contextmanager
def hold_services(paths: Paths, command: str, port: int) -> Iterator[Holder | None]:
    """Be the one process that runs this checkout's services.

    Args:
        paths: The checkout.
        command: `run` or `up`.
        port: The port of Prefect's server.

    Yields:
        None when they are ours to start; otherwise who runs them already.
    """
    path = paths.state / "prefect" / "services.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+", encoding="utf-8") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield _read_holder(path)
            return
        stream.truncate(0)
        json.dump({"command": command, "pid": os.getpid(), "port": port}, stream)
        stream.flush()
        yield None


def _read_holder(path: Path) -> Holder:
    """Who wrote himself into the lock file."""
    try:
        return Holder(**json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError):  # he is about to
        raise BusyError("mmicl is starting here", where=path, remedy="try again") from None


def _tool(name: str) -> str:
    """A program of this environment."""
    return str(Path(sys.executable).parent / name)
