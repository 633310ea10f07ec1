"""Training on this machine: torchrun, one process a rank, nothing left behind."""

import contextlib
import os
import sys
from pathlib import Path

from mmicl.config import Launch
from mmicl.paths import Paths
from mmicl.supervision import run_supervised

WORKER = "mmicl.train.worker"


def launch_training(stage: str, paths: Paths, run_folder: Path, launch: Launch) -> int:
    """Run a training stage's ranks to the end, and show their progress.

    Args:
        stage: `pretrain` or `finetune`.
        paths: The checkout.
        run_folder: Where the ranks write; the caller holds its lock. `ranks.log` gets all output.
        launch: Number of processes and threads.

    Returns:
        The exit code; how a rank ended stands in the run folder.
    """
    command = [
        sys.executable,
        *("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(launch.processes)),
        *("--log-dir", os.devnull),  # it would leave a folder of temporary files behind
        *("-m", WORKER, "--stage", stage),
        *("--root", str(paths.root), "--run-folder", str(run_folder)),
    ]
    # Unbuffered: what a full disk does not take must not be tried again on closing.
    with (run_folder / "ranks.log").open("wb", buffering=0) as log:

        def show(line: str) -> None:
            with contextlib.suppress(OSError):  # the ranks meet the full disk too, and end
                log.write(f"{line}\n".encode())
            if line.startswith(f"{stage}: "):  # the rest is the libraries' own talk
                sys.stdout.write(line + "\n")
                sys.stdout.flush()

        return run_supervised(
            command, env=rank_environment(launch, paths), cwd=paths.root, on_line=show
        )


def rank_environment(launch: Launch, paths: Paths) -> dict[str, str]:
    """This process's environment, with what makes ranks quiet, repeatable and of the right size."""
    threads = max(1, launch.threads // launch.processes)
    return {
        **os.environ,
        "MMICL_STATE": str(paths.state),
        "OMP_NUM_THREADS": str(threads),
        "OMP_WAIT_POLICY": "PASSIVE",
        "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
        "PYTHONUNBUFFERED": "1",
        "TOKENIZERS_PARALLELISM": "false",
    }
