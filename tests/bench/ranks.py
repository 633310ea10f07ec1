"""What ranks and threads cost on this machine: `python tests/bench/ranks.py`, after `make run`.

Trains a few steps of both stages with one and two processes of one and two threads each, in a
workspace of its own, and prints the table of docs/performance.md.
"""

import itertools
import json
import shutil
import statistics
import sys

from mmicl.config import load_config
from mmicl.launch.local import launch_training
from mmicl.paths import Paths
from mmicl.pipeline import bring_up_to_date, read_groups
from mmicl.train.stage import run_training
from mmicl.workspace import prepare_workspace

STEPS, WARMUP = 40, 10
"""Trained, and of these not counted."""


def main() -> int:
    """Measure and print."""
    steps = [f"{stage}.steps={STEPS}" for stage in ("pretrain", "finetune")]
    paths = prepare_workspace(Paths.here(), None, steps)
    groups = read_groups(paths)
    bring_up_to_date(paths, groups[: groups.index("features") + 1], on_line=print)
    print("| processes | threads each | stage I, samples a second | stage II |\n|---|---|---|---|")
    for processes, threads in itertools.product((1, 2), repeat=2):
        rates = [
            measure_rate(paths, stage, processes, threads) for stage in ("pretrain", "finetune")
        ]
        print(f"| {processes} | {threads} | {rates[0]:.0f} | {rates[1]:.0f} |", flush=True)
    return 0


def measure_rate(paths: Paths, stage: str, processes: int, threads: int) -> float:
    """Samples a second of a stage: the median over the steps behind the first WARMUP."""
    run = paths.run(stage, "bench")
    shutil.rmtree(run, ignore_errors=True)
    launch = load_config(paths.root / "params.yaml").launch
    launch = launch.model_copy(update={"processes": processes, "threads": processes * threads})
    run_training(stage, paths, run, run / "out", launch, launch_training)
    rows = [json.loads(line) for line in (run / "meters.jsonl").read_text().splitlines()]
    return statistics.median(row["samples_per_second"] for row in rows if row["step"] > WARMUP)


if __name__ == "__main__":
    sys.exit(main())
