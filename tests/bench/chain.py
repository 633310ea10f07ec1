"""Time the chain in a fresh checkout and hold it to its budget: `make bench`.

Runs `mmicl run` from nothing, `mmicl run` again, and `prefect deployment run mmicl/full --watch`
on the up-to-date tree, prints the tables of docs/performance.md, and exits 1 over budget.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "integration"))
from checkouts import copy_checkout, run_in

BUDGET = {
    "fetch": 45, "ingest": 45, "augment": 5, "build": 10, "validate": 15,
    "pretrain": 115, "features": 30, "finetune": 115, "evaluate": 100, "register": 25,
}  # fmt: skip
"""Seconds per stage group on two idle cores, start-up of its processes included."""
WHOLE = {"first run": 480, "second run": 15, "deployment run, up to date": 60}
"""Seconds of a whole command, installation excluded."""


def time_command(checkout: Path, *command: str) -> float:
    """Seconds that a command takes in the checkout; it must succeed."""
    begin = time.monotonic()
    result = run_in(checkout, *command, timeout=1500)
    if result.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{result.stdout[-3000:]}{result.stderr[-3000:]}")
    return time.monotonic() - begin


def time_deployment(checkout: Path) -> float:
    """Seconds of a watched deployment run with the servers of `mmicl up` running."""
    environment = {**os.environ, "PYTHONPATH": str(checkout / "components")}
    servers = subprocess.Popen(
        [Path(sys.executable).parent / "mmicl", "up"],
        cwd=checkout,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert servers.stdout is not None
        for line in servers.stdout:
            if "Ctrl-C" in line:
                break
        return time_command(checkout, "prefect", "deployment", "run", "mmicl/full", "--watch")
    finally:
        servers.send_signal(signal.SIGINT)
        servers.wait(timeout=60)


def main() -> int:
    """Measure, print, judge."""
    with tempfile.TemporaryDirectory() as folder:
        checkout = copy_checkout(Path(folder) / "mmicl")
        whole = {"first run": time_command(checkout, "mmicl", "run")}
        stages: dict[str, float] = {}
        for stage in json.loads((checkout / "reports" / "summary.json").read_text())["stages"]:
            group = stage["name"].partition("@")[0]
            stages[group] = stages.get(group, 0.0) + stage["seconds"]
        whole["second run"] = time_command(checkout, "mmicl", "run")
        whole["deployment run, up to date"] = time_deployment(checkout)
    late = []
    for title, measured, budget in (("stage", stages, BUDGET), ("command", whole, WHOLE)):
        print(f"| {title} | seconds | budget |\n|---|---|---|")
        for name, limit in budget.items():
            print(f"| {name} | {measured[name]:.1f} | {limit} |")
            late += [name] if measured[name] > limit else []
        print()
    if late:
        print(f"over budget: {', '.join(late)}", file=sys.stderr)
    return int(bool(late))


if __name__ == "__main__":
    sys.exit(main())
