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

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

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


def test_a_killed_training_ends_with_the_bits_of_an_undisturbed_one(
    chain: Path, drawn: random.Random
) -> None:
    weights = chain / "models" / "finetune" / "trained.safetensors"
    undisturbed = hash_file(weights)
    paths = Paths(chain, chain / ".mmicl")
    run_folder = paths.run("finetune", fingerprint(paths, "finetune"))
    kill_after_a_checkpoint(chain, run_folder, drawn)
    second = run_in(chain, *AGAIN)
    assert second.returncode == 0, second.stderr
    assert "going on from step 100" in second.stdout
    assert hash_file(weights) == undisturbed
    assert "up to date" in run_in(chain, "dvc", "status").stdout


def test_a_training_goes_on_over_a_change_of_code_when_it_is_told_to(
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
        again = run_in(chain, *AGAIN)
        assert again.returncode == 0, again.stderr
        assert "going on from step 100" in again.stdout
        assert hash_file(weights) == undisturbed
        facts = read_json(paths.run("finetune", fingerprint(paths, "finetune")) / "record.json")
        assert facts["facts"]["continued_from"] == mark
        assert facts["facts"]["continued_over"] == "components/mmicl/train"
    finally:
        code.write_text(unchanged)
        lock.write_bytes(before)
    once_more = run_in(chain, *AGAIN)  # of the run that was killed, whose outs are the same
    assert once_more.returncode == 0, once_more.stderr
    assert hash_file(weights) == undisturbed
