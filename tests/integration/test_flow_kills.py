"""Whatever dies during a flow: no orphan, one writer, the next run finishes where it was cut."""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from mmicl.paths import Paths

pytestmark = [pytest.mark.alone, pytest.mark.timeout(500)]

BIN = Path(sys.executable).parent

# A stage as the real trainings are made: a lock on the run folder, a supervised process below.
STAGE = """
import sys
from mmicl.errors import MmiclError
from mmicl.supervision import RunLock, run_supervised

def act(context):
    with RunLock(context.run_folder):
        code = run_supervised([sys.executable, "acts/trainer.py", str(context.run_folder)])
    if code:
        raise MmiclError(f"the training ended with exit code {code}")
"""

# A trainer in steps that are kept; it says when it is not alone.
TRAINER = """
import fcntl, os, sys, time
from pathlib import Path
from mmicl.supervision import RunLock, die_with_parent

die_with_parent()
folder, here = Path(sys.argv[1]), Path("acts")
RunLock(folder).join()
alone = (here / "alone").open("a")
try:
    fcntl.flock(alone, fcntl.LOCK_EX | fcntl.LOCK_NB)
except BlockingIOError:
    (here / "crowd").touch()
steps = folder / "step"
step = int(steps.read_text()) if steps.exists() else 0
(here / "trainer.pid").write_text(str(os.getpid()))
while step < 40:
    if step == 20 and not (here / "go").exists():
        time.sleep(0.05)
        continue
    step += 1
    with (here / "log").open("a") as log:
        log.write(f"{step}\\n")
    steps.write_text(str(step))
"""


@pytest.fixture
def toy(shared_toy: Paths) -> Iterator[Paths]:
    """The shared checkout with a training that waits at step 20 until a test lets it go."""
    acts = shared_toy.root / "acts"
    shutil.rmtree(acts)
    acts.mkdir()
    (acts / "pretrain.py").write_text(STAGE)
    (acts / "trainer.py").write_text(TRAINER)
    seed = time.time_ns() % 10**9 + 1
    params = shared_toy.root / "params.yaml"
    text = params.read_text().splitlines()
    # New parameters: a run of its own, with no step done yet.
    changed = [f"seed: {seed}" if line.startswith("seed:") else line for line in text]
    at = changed.index("pretrain:") + 1
    changed[at] = f"  steps: {seed}"
    params.write_text("\n".join(changed) + "\n")
    yield shared_toy
    for process in processes(shared_toy):
        process.kill()


def start(paths: Paths, command: str) -> "subprocess.Popen[str]":
    environment = {**os.environ, "PYTHONPATH": str(paths.root / "components")}
    log = (paths.root / "acts" / f"{command}.log").open("w")
    return subprocess.Popen(
        [sys.executable, "-m", "flows.local", command],
        cwd=paths.root,
        env=environment,
        stdout=log,
        stderr=subprocess.STDOUT,
        text=True,
    )


def processes(paths: Paths, *words: str) -> list[psutil.Process]:
    """Processes that work in the checkout, with these words in their command lines."""
    found = []
    for process in psutil.process_iter():
        try:
            here = Path(process.cwd()).is_relative_to(paths.root)
            line = " ".join(process.cmdline())
        except psutil.Error:
            continue
        if here and all(word in line for word in words) and "mmicl.supervision" not in line:
            found.append(process)
    return found


def wait_until(happens: Callable[[], object], seconds: float) -> None:
    end = time.monotonic() + seconds
    while not happens():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.1)


def at_step_20(paths: Paths) -> bool:
    log = paths.root / "acts" / "log"
    return log.exists() and log.read_text().splitlines()[-1:] == ["20"]


def states(paths: Paths) -> list[str]:
    """The types of all flow runs' states, as the server keeps them, oldest first."""
    database = paths.state / "prefect" / "prefect.db"
    with sqlite3.connect(database) as connection:
        rows = connection.execute("select state_type from flow_run order by created")
        return [row[0] for row in rows]


def check_whole(paths: Paths) -> None:
    """Every step was done once, in order, by one trainer at a time."""
    acts = paths.root / "acts"
    assert [int(line) for line in (acts / "log").read_text().split()] == list(range(1, 41))
    assert not (acts / "crowd").exists()
    assert (paths.pretrained / "out.txt").is_file()


def finish(paths: Paths) -> None:
    """Run again: it finishes, resumed, and nothing seems to run on."""
    (paths.root / "acts" / "go").touch()
    assert start(paths, "run").wait(120) == 0, (paths.root / "acts" / "run.log").read_text()
    check_whole(paths)
    assert processes(paths) == []
    assert states(paths)[-1] == "COMPLETED"
    assert not {"RUNNING", "PENDING", "SCHEDULED", "CANCELLING"} & set(states(paths))


VICTIMS = (
    "acts/trainer.py",
    "-m mmicl.stages pretrain",
    "-m mmicl.pipeline pretrain",
    "prefect.engine",
    "prefect worker start",
)


def test_a_kill_ends_the_run_and_the_next_one_resumes(toy: Paths) -> None:
    """Trainer, stage, DVC, flow and worker, one after the other; each run goes on at step 20."""
    for victim in VICTIMS:
        (toy.root / "acts" / "trainer.pid").unlink(missing_ok=True)
        run = start(toy, "run")
        wait_until(lambda: (toy.root / "acts" / "trainer.pid").exists() and at_step_20(toy), 90)
        found = processes(toy, victim)
        assert found, victim
        for process in found:
            process.kill()
        assert run.wait(90) == 1, (toy.root / "acts" / "run.log").read_text()
        assert processes(toy) == [], victim
        assert states(toy)[-1] in ("FAILED", "CRASHED"), victim
    finish(toy)


def test_killing_the_command_itself_ends_everything(toy: Paths) -> None:
    run = start(toy, "run")
    wait_until(lambda: at_step_20(toy), 90)
    run.kill()
    run.wait()
    wait_until(lambda: not processes(toy), 45)
    finish(toy)


def test_the_run_survives_its_server(toy: Paths) -> None:
    run = start(toy, "run")
    wait_until(lambda: at_step_20(toy), 90)
    for process in processes(toy, "uvicorn") + processes(toy, "server start"):
        process.kill()
    time.sleep(3)
    (toy.root / "acts" / "go").touch()
    assert run.wait(150) == 0, (toy.root / "acts" / "run.log").read_text()
    check_whole(toy)
    assert processes(toy) == []
    assert states(toy)[-1] == "COMPLETED"


def test_ctrl_c_cancels(toy: Paths) -> None:
    run = start(toy, "run")
    wait_until(lambda: at_step_20(toy), 90)
    run.send_signal(signal.SIGINT)
    assert run.wait(60) == 130
    assert processes(toy) == []
    assert states(toy)[-1] == "CANCELLED"
    finish(toy)


def test_cancelling_in_prefect_stops_the_training_within_30_seconds(toy: Paths) -> None:
    up = start(toy, "up")
    try:
        wait_until(lambda: "Ctrl-C" in (toy.root / "acts" / "up.log").read_text(), 120)
        shell = {"PATH": f"{BIN}:/usr/bin:/bin", "HOME": str(toy.root.parent / "home")}
        run = [BIN / "prefect", "deployment", "run", "mmicl/full"]
        subprocess.run(run, cwd=toy.root, env=shell, check=True, capture_output=True)
        wait_until(lambda: at_step_20(toy), 90)
        with sqlite3.connect(toy.state / "prefect" / "prefect.db") as database:
            query = "select id from flow_run where state_type = 'RUNNING'"
            ((flow_run,),) = database.execute(query)
        subprocess.run(
            [BIN / "prefect", "flow-run", "cancel", flow_run],
            cwd=toy.root,
            env=shell,
            check=True,
            capture_output=True,
        )
        asked = time.monotonic()
        wait_until(lambda: not processes(toy, "trainer.py"), 30)
        wait_until(lambda: states(toy)[-1] == "CANCELLED", 30 - (time.monotonic() - asked))
        assert not processes(toy, "mmicl.stages")
        assert not (toy.root.parent / "home").exists()
        # The same checkout's second `up` is refused in a line.
        second = start(toy, "up")
        assert second.wait(30) == 2
    finally:
        up.send_signal(signal.SIGTERM)
    assert up.wait(60) == 0
    assert processes(toy) == []
    finish(toy)


def test_a_taken_port_is_one_line(toy: Paths) -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        environment = {
            **os.environ,
            "PYTHONPATH": str(toy.root / "components"),
            "PREFECT_API_URL": f"http://127.0.0.1:{port}/api",
        }
        done = subprocess.run(
            [sys.executable, "-m", "flows.local", "up"],
            cwd=toy.root,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 2
    assert done.stderr.startswith(f"mmicl: 127.0.0.1:{port}: the port is taken")
    assert done.stderr.count("\n") == 1
    assert processes(toy) == []


def test_a_data_error_is_one_line_and_exit_code_2(toy: Paths) -> None:
    (toy.root / "acts" / "build.py").write_text(
        "from mmicl.errors import DataError\n"
        "def act(context):\n    raise DataError('3 of 9 records are unreadable', where='raw')\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(toy.root / "components")}
    done = subprocess.run(
        [sys.executable, "-m", "flows.local", "run"],
        cwd=toy.root,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr == "mmicl: build: raw: 3 of 9 records are unreadable\n"
    assert states(toy)[-1] == "FAILED"
    with sqlite3.connect(toy.state / "prefect" / "prefect.db") as database:
        query = "select name, run_count from task_run order by created desc limit 1"
        ((name, attempts),) = database.execute(query)
    assert name.startswith("build: failed")
    assert attempts == 1
    outcome = json.loads(toy.outcome("build").read_text())
    assert outcome["kind"] == "data"
