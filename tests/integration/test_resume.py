"""Kill -9 of the real training in stage II: the same command goes on, to the same bits."""

import random
import shutil
import subprocess
import time
from pathlib import Path

import psutil
import pytest
from checkouts import clean_environment, run_in

from mmicl.files import hash_file, read_json
from mmicl.lineage import fingerprint
from mmicl.paths import Paths

pytestmark = [pytest.mark.alone, pytest.mark.timeout(900)]

AGAIN = ("dvc", "repro", "--force", "--single-item", "finetune")
"""DVC would take the stage from its cache; forced, it trains."""


def find_workers(checkout: Path) -> list[psutil.Process]:
    """The ranks that train in a checkout; not torchrun, whose command names them."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        start = words[: words.index("mmicl.train.worker")] if "mmicl.train.worker" in words else []
        if start[-1:] == ["-m"] and start.count("-m") == 1 and str(checkout) in words:
            found.append(process)
    return found


def kill_after_a_checkpoint(chain: Path, run_folder: Path, drawn: random.Random) -> None:
    """Train stage II anew, and kill a rank behind step 100, which has a checkpoint."""
    shutil.rmtree(run_folder)
    first = subprocess.Popen(
        AGAIN,
        cwd=chain,
        env=clean_environment(PYTHONPATH=str(chain / "components")),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    reports = drawn.randint(51, 95)  # one every second step: after the checkpoint of step 100
    meters = run_folder / "meters.jsonl"
    while not meters.exists() or len(meters.read_bytes().splitlines()) < reports:
        assert first.poll() is None, "the training ended before it could be killed"
        time.sleep(0.05)
    worker, *_ = find_workers(chain)
    worker.kill()
    assert first.wait(timeout=60) != 0
    assert not find_workers(chain)


def test_a_killed_training_goes_on_to_the_same_bits_over_a_change_of_code_too(
    chain: Path, drawn: random.Random
) -> None:
    weights, lock = chain / "models" / "finetune" / "trained.safetensors", chain / "dvc.lock"
    undisturbed, before = hash_file(weights), lock.read_bytes()
    paths = Paths(chain, chain / ".mmicl")
    mark = fingerprint(paths, "finetune")
    kill_after_a_checkpoint(chain, paths.run("finetune", mark), drawn)
    code = chain / "components" / "mmicl" / "train" / "schedule.py"
    unchanged = code.read_text()
    try:
        code.write_text(unchanged + "# harmless\n")
        told = run_in(chain, "mmicl", "continue", "finetune")
        assert told.returncode == 0, told.stderr
        assert f"finetune goes on from step 100 of {mark[:12]}" in told.stdout
        go_on(chain)
        assert hash_file(weights) == undisturbed
        facts = read_json(paths.run("finetune", fingerprint(paths, "finetune")) / "record.json")
        assert facts["facts"]["continued_from"] == mark
        assert facts["facts"]["continued_over"] == "components/mmicl/train"
    finally:
        code.write_text(unchanged)
        lock.write_bytes(before)
    go_on(chain)  # the run that was killed, whose code is the checkout's again
    assert hash_file(weights) == undisturbed
    assert "up to date" in run_in(chain, "dvc", "status").stdout


def go_on(chain: Path) -> None:
    """The same command again: it goes on from the checkpoint, to the end."""
    again = run_in(chain, *AGAIN)
    assert again.returncode == 0, again.stderr
    assert "going on from step 100" in again.stdout
