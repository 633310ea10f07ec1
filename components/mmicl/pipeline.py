"""Run stages through DVC: what is out of date and why, and bringing it up to date.

DVC runs in a child process of its own (this module as a program): it is isolated from Prefect's
threads, its output can be streamed, and the whole tree below it ends when its caller does. The
child says what happened to each stage in a report file; DVC's own exit code could not.
"""

import argparse
import contextlib
import json
import logging
import os
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from filelock import FileLock, Timeout
from ruamel.yaml import YAML

from mmicl import dvclocks
from mmicl.changes import StageState, explain_changes
from mmicl.config import load_config
from mmicl.errors import (
    DataError,
    Kind,
    MmiclError,
    ResourceError,
    TransientError,
    UserError,
)
from mmicl.files import read_json, write_json, write_text
from mmicl.known import check_names
from mmicl.lineage import Inputs, code_state, read_inputs, read_lock, recorded_fingerprint
from mmicl.paths import FINGERPRINT_VARIABLE, INPUTS_VARIABLE, STATE_VARIABLE, Paths
from mmicl.shortages import is_full
from mmicl.supervision import die_with_parent, end_tree, run_supervised

if TYPE_CHECKING:
    from dvc.repo import Repo
    from dvc.stage import Stage

Status = Literal["ran", "restored", "up-to-date", "failed"]

_ERRORS: dict[Kind, type[MmiclError]] = {
    "user": UserError,
    "data": DataError,
    "memory": ResourceError,
    "transient": TransientError,
    "bug": MmiclError,
}


@dataclass(frozen=True)
class StageResult:
    """What bringing a stage up to date came to."""

    name: str
    status: Status
    seconds: float
    kind: Kind | None = None
    """Of a failure."""
    message: str = ""
    """Of a failure, in one line."""


def read_groups(paths: Paths) -> list[str]:
    """The stage groups of dvc.yaml, in the order in which they run."""
    return list(YAML(typ="safe").load(paths.root / "dvc.yaml")["stages"])


def status(paths: Paths) -> list[StageState]:
    """Ask DVC which stages are out of date, in the order in which they would run.

    Raises:
        BusyError: A stage is running.
        UserError: params.yaml is invalid, or DVC cannot read the checkout.
    """
    check_names(load_config(paths.root / "params.yaml"))
    locks, states = read_lock(paths), dict[str, StageState]()
    with _open_repo(paths) as repo:
        from dvc.repo import lock_repo

        with lock_repo(repo):
            # Edges point from a stage to what it depends on. By name, for stages read anew differ.
            edges = [(one.addressing, other.addressing) for one, other in repo.index.graph.edges]
            for stage in _collect(repo, read_groups(paths)):
                name = stage.addressing
                above = {other for one, other in edges if one == name}
                late = [
                    other for other in states if other in above and not states[other].up_to_date
                ]
                changes = stage.status().get(name, [])
                states[name] = explain_changes(stage, changes, late, locks.get(name))
    return list(states.values())


def bring_up_to_date(
    paths: Paths, targets: Sequence[str], on_line: Callable[[str], None] = print
) -> list[StageResult]:
    """Bring stages up to date through DVC.

    Args:
        paths: The checkout to do it in.
        targets: Stage groups (`ingest`) or members (`ingest@coco`), in order. What they depend on
            must be up to date, or be named before them.
        on_line: Called with each line of output: one when a stage starts and one when it ends,
            and the stage's own in between.

    Returns:
        One result a stage.

    Raises:
        MmiclError: The error of the stage that failed, of its kind.
    """
    results = try_up_to_date(paths, targets, on_line)
    for result in results:
        if result.status == "failed":
            raise make_error(result)
    return results


def try_up_to_date(
    paths: Paths, targets: Sequence[str], on_line: Callable[[str], None] = print
) -> list[StageResult]:
    """As `bring_up_to_date`, but a failure is the last result instead of an exception."""
    with tempfile.TemporaryDirectory(prefix="mmicl-") as folder:
        report = Path(folder) / "report.json"
        command = [sys.executable, "-P", "-m", "mmicl.pipeline", *targets, "--report", str(report)]
        code = run_supervised(
            command, env=child_environment(paths), cwd=paths.root, on_line=on_line
        )
        if report.exists():
            return [StageResult(**value) for value in read_json(report)]
    message = f"the DVC process ended with exit code {code} and without a report"
    return [StageResult(targets[0], "failed", 0.0, "bug", message)]


def make_error(result: StageResult) -> MmiclError:
    """The exception that a failed result stands for."""
    return _ERRORS[result.kind or "bug"](result.message, where=result.name)


def child_environment(paths: Paths) -> dict[str, str]:
    """The environment in which a checkout's own code runs, with its own tools first on PATH."""
    own = str(Path(sys.executable).parent)
    return {
        **os.environ,
        "PATH": os.pathsep.join([own, os.environ.get("PATH", os.defpath)]),
        "PYTHONPATH": str(paths.root / "components"),
        "PYTHONUNBUFFERED": "1",
        "SHELL": "/bin/sh",  # DVC runs commands through $SHELL; a person's may read start files
        "DVC_NO_ANALYTICS": "1",
        STATE_VARIABLE: str(paths.state),
    }


# --- DVC -----------------------------------------------------------------------------------------


def _collect(repo: "Repo", targets: Iterable[str]) -> Iterator["Stage"]:
    """The stages that group names or member names stand for, in the order of dvc.yaml."""
    for target in targets:
        yield from repo.stage.collect(target)


@contextlib.contextmanager
def _open_repo(paths: Paths) -> Iterator["Repo"]:
    """DVC's view of a checkout; its complaints become ours.

    Raises:
        BusyError: Another process holds the stages.
        UserError: DVC cannot read the checkout.
    """
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    dvclocks.drop_dead(paths.root)
    try:
        # DVC looks for dvc.yaml, and names stages, from the current folder on.
        with contextlib.chdir(paths.root), Repo() as repo:
            yield repo
    except DvcException as error:
        raise _translate(error, paths) from error


def _translate(error: Exception, paths: Paths, stage: str | None = None) -> MmiclError:
    """One of our errors for one of DVC's; a stage that ran left word of its own."""
    from dvc.dependency.base import DependencyDoesNotExistError
    from dvc.lock import LockError
    from dvc.stage.exceptions import StageCmdFailedError

    cause = error.__cause__ or error  # DVC wraps: "failed to reproduce" says nothing
    if isinstance(cause, LockError):
        return dvclocks.describe_holder(paths.root)
    if isinstance(cause, StageCmdFailedError) and stage is not None:
        if not paths.outcome(stage).exists():
            if is_full(paths.state):
                return ResourceError("no room to write", where=paths.state, remedy="make room")
            return MmiclError(f"ended without saying why ({cause})")
        outcome = read_json(paths.outcome(stage))
        return _ERRORS[outcome["kind"]](outcome["message"])
    if isinstance(cause, DependencyDoesNotExistError | FileNotFoundError):
        return DataError(str(cause), remedy="bring the stages before it up to date first")
    return UserError(f"DVC: {cause}")


# --- the child -----------------------------------------------------------------------------------


def main(arguments: Sequence[str]) -> int:
    """Bring stages up to date in this process and leave a report; 0 when all went well."""
    parser = argparse.ArgumentParser(prog="python -m mmicl.pipeline", description=__doc__)
    parser.add_argument("targets", nargs="+", help="stage groups or members, in order")
    parser.add_argument("--report", type=Path, required=True, help="JSON file to write")
    options = parser.parse_args(arguments)
    stopping = threading.Event()

    def stop(*_: object) -> None:
        # The stage ends, DVC sees it fail, gives its locks back, and this process ends by itself.
        stopping.set()
        end_tree(os.getpid(), spare_root=True)

    signal.signal(signal.SIGTERM, stop)
    die_with_parent()
    results: list[StageResult] = []
    for result in _reproduce_all(Paths.here(), options.targets, stopping):
        results.append(result)
        _say(result)
    write_json(options.report, [asdict(result) for result in results])
    return int(any(result.status == "failed" for result in results))


def _reproduce_all(
    paths: Paths, targets: Sequence[str], stopping: threading.Event
) -> Iterator[StageResult]:
    """Bring stages up to date one by one, up to the first that fails."""
    name, clock = targets[0], time.monotonic()
    try:
        code_state(paths.root)
        check_names(load_config(paths.root / "params.yaml"))
        with _open_repo(paths) as repo:
            logging.getLogger("dvc").setLevel(logging.WARNING)  # we say it in fewer words
            for stage in list(_collect(repo, targets)):
                name, clock = stage.addressing, time.monotonic()
                if stopping.is_set():
                    raise TransientError("stopped before it began")
                yield _reproduce(repo, paths, stage, stopping)
    except MmiclError as error:
        yield StageResult(name, "failed", _since(clock), error.kind, str(error))
    except Exception as error:
        log = paths.state / "logs" / f"{name}.log"
        write_text(log, traceback.format_exc())
        text = f"{type(error).__name__}: {' '.join(str(error).split())}; the traceback is in {log}"
        yield StageResult(name, "failed", _since(clock), "bug", text)


def _reproduce(
    repo: "Repo", paths: Paths, stage: "Stage", stopping: threading.Event
) -> StageResult:
    """Let DVC bring one stage up to date."""
    from dvc.exceptions import DvcException

    name = stage.addressing
    sys.argv = ["mmicl", "stage", name]  # what DVC tells others about the holder of its locks
    paths.outcome(name).unlink(missing_ok=True)
    clock = time.monotonic()
    found = read_inputs(stage)
    if isinstance(found, Inputs):  # otherwise the stage, or DVC, says what is missing
        os.environ[FINGERPRINT_VARIABLE] = f"{name} {found.fingerprint}"
        os.environ[INPUTS_VARIABLE] = json.dumps(asdict(found))
    try:
        with _take_turns(paths, name, found, stopping):
            missing = isinstance(found, Inputs) and _check_out(repo, paths, stage, found)
            done = cast("Any", repo).reproduce(targets=[name], single_item=True)
    except DvcException as error:
        raise _translate(error, paths, name) from error
    # A stage that ran left an outcome; one that DVC took from a cache did not.
    ended: Status = "ran" if paths.outcome(name).exists() else "restored"
    return StageResult(name, ended if done or missing else "up-to-date", _since(clock))


@contextlib.contextmanager
def _take_turns(
    paths: Paths, name: str, found: Inputs | MmiclError, stopping: threading.Event
) -> Iterator[None]:
    """Wait while another workspace computes the same stage of the same inputs.

    What it computes then comes out of the cache that they share.

    Raises:
        TransientError: Stopped while it waited.
    """
    if not isinstance(found, Inputs):
        yield
        return
    folder = paths.state / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / f"{name}-{found.fingerprint[:16]}.lock")
    told = False
    while not lock.is_locked:
        with contextlib.suppress(Timeout):
            lock.acquire(timeout=1)
            break
        if stopping.is_set():
            raise TransientError(f"{name}: stopped while it waited")
        if dvclocks.is_held(paths.root):  # by a second run in this same place, which DVC refuses
            break
        if not told:
            print(f"{name}: waits for another workspace, which computes it", flush=True)  # noqa: T201
            told = True
    try:
        yield
    finally:
        lock.release()


def _check_out(repo: "Repo", paths: Paths, stage: "Stage", inputs: Inputs) -> bool:
    """Bring back from DVC's cache what is missing of a stage's outs, where nothing else changed.

    DVC would look for the run in its run cache, which hashes all anew and takes twice as long.

    Returns:
        Whether anything was. What the cache lacks as well, and outs that a person changed, are
        left to DVC.
    """
    from dvc.exceptions import CheckoutError
    from dvc.repo import lock_repo

    missing = [out for out in stage.outs if out.hash_info and not out.exists]
    if not missing or recorded_fingerprint(paths, stage.addressing) != inputs.fingerprint:
        return False
    # What the cache lacks is a CheckoutError of a folder, and no file found of a file.
    with lock_repo(repo), contextlib.suppress(CheckoutError, FileNotFoundError):
        for out in missing:
            out.checkout()
    return True


def _say(result: StageResult) -> None:
    """Print how a stage ended, in one line."""
    if result.status == "failed":
        text = f"{result.name}: failed after {result.seconds:.1f} s"
    elif result.status == "up-to-date":
        text = f"{result.name}: up to date"
    else:
        text = f"{result.name}: {result.status} in {result.seconds:.1f} s"
    print(text, flush=True)  # noqa: T201


def _since(clock: float) -> float:
    return round(time.monotonic() - clock, 2)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
