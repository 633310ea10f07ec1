"""A checkout in which the whole chain ran once."""

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from checkouts import copy_checkout, run_in

from mmicl.paths import Paths


@pytest.fixture(scope="session")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout in which `mmicl run` ran the whole chain from nothing."""
    checkout = copy_checkout(tmp_path_factory.mktemp("chain") / "mmicl")
    result = run_in(checkout, "mmicl", "run", timeout=1500)
    assert result.returncode == 0, result.stdout[-4000:] + result.stderr[-4000:]
    (checkout / ".mmicl" / "first-run.txt").write_text(result.stdout)
    return checkout


@pytest.fixture(scope="module")
def one_rank() -> Iterator[None]:
    """This process as the only rank of a training run."""
    from training_run import only_rank  # late: it brings torch and DeepSpeed

    with only_rank():
        yield


@pytest.fixture
def drawn(request: pytest.FixtureRequest) -> random.Random:
    """What a test draws of; a failure shows the seed, MMICL_TEST_SEED gives it again."""
    seed = int(os.environ.get("MMICL_TEST_SEED") or random.SystemRandom().randrange(10**6))
    request.node.add_report_section("setup", "seed", f"MMICL_TEST_SEED={seed}")
    return random.Random(seed)


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    """A checkout made for training, which writes no checkpoint within a test's steps."""
    from training_workspace import make_workspace

    return make_workspace(tmp_path, checkpoint_every=100)
