"""A checkout in which the whole chain ran once."""

from pathlib import Path

import pytest
from checkouts import copy_checkout, run_in


@pytest.fixture(scope="session")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout in which `mmicl run` ran the whole chain from nothing."""
    checkout = copy_checkout(tmp_path_factory.mktemp("chain") / "mmicl")
    result = run_in(checkout, "mmicl", "run", timeout=1500)
    assert result.returncode == 0, result.stdout[-4000:] + result.stderr[-4000:]
    (checkout / ".mmicl" / "first-run.txt").write_text(result.stdout)
    return checkout
