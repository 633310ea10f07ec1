"""Without a cluster, `launch.spread: ray` ends with one line that says what to do."""

import sys

import pytest

from mmicl.cluster import connect
from mmicl.errors import UserError


def test_no_cluster_is_said_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    with (
        pytest.raises(UserError, match=r"this machine: no Ray cluster is running.*ray start"),
        connect(),
    ):
        pass


def test_a_missing_ray_is_said_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UserError, match=r"Ray is not installed.*mmicl\[ray\]"), connect():
        pass
