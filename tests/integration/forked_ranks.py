"""Ranks of a training, forked from a process that has imported what they need.

What torchrun's ranks compute, without the seconds that each of those takes to import torch,
transformers, DeepSpeed and MLflow. For tests of results; those of processes that end, hang or leave
something behind start them as the product does.
"""

import os
import sys
from collections.abc import Callable
from functools import partial
from multiprocessing import get_context
from multiprocessing.connection import wait
from pathlib import Path

from flows.services import free_port
from mmicl.config import Launch
from mmicl.launch.local import rank_environment
from mmicl.paths import Paths

FORKS = get_context("forkserver")
FORKS.set_forkserver_preload(
    [
        "deepspeed",
        "mlflow",
        "mmicl.model.loading",
        "mmicl.tracking",
        "mmicl.train.loop",
        "mmicl.train.worker",
        "transformers.models.blip_2.modeling_blip_2",
    ]
)


def launch_forked(stage: str, paths: Paths, run_folder: Path, launch: Launch) -> int:
    """As `mmicl.launch.local.launch_training`."""
    code = fork_ranks(partial(run_worker, stage, paths, run_folder), paths, run_folder, launch)
    for line in (run_folder / "ranks.log").read_text().splitlines():
        if line.startswith(f"{stage}: "):
            print(line)
    return code


def fork_ranks(work: Callable[[], None], paths: Paths, run_folder: Path, launch: Launch) -> int:
    """1 as soon as one of the ranks that do `work` fails, and 0 when all have done it.

    What they say is in `ranks.log` of the run folder.
    """
    port = free_port()
    ranks = [
        FORKS.Process(target=run_rank, args=(rank, port, work, paths, run_folder, launch))
        for rank in range(launch.processes)
    ]
    for rank in ranks:
        rank.start()
    try:
        waiting = {rank.sentinel: rank for rank in ranks}
        while waiting:
            for sentinel in wait(list(waiting)):
                rank = waiting.pop(sentinel)  # type: ignore[arg-type]
                rank.join()
                if rank.exitcode:
                    return 1
    finally:
        for rank in ranks:
            rank.kill()
            rank.join()
    return 0


def run_rank(
    rank: int, port: int, work: Callable[[], None], paths: Paths, run_folder: Path, launch: Launch
) -> None:
    """In the fork: what torchrun and the launcher set, then the work."""
    log = os.open(run_folder / "ranks.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    sys.stdout = os.fdopen(1, "w", buffering=1)
    sys.stderr = os.fdopen(2, "w", buffering=1)
    processes = str(launch.processes)
    os.environ |= rank_environment(launch, paths) | {
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": processes,
        "LOCAL_WORLD_SIZE": processes,
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
    }
    os.chdir(paths.root)
    work()


def run_worker(stage: str, paths: Paths, run_folder: Path) -> None:
    """The product's worker, with the arguments that its launcher gives."""
    from mmicl.train import worker

    arguments = ["--stage", stage, "--root", str(paths.root), "--run-folder", str(run_folder)]
    sys.argv = ["worker", *arguments]
    sys.exit(worker.main())
