"""Without a cluster, `launch.spread: ray` ends with one line that says what to do."""

import sys

import pytest

from mmicl.cluster import connect
from mmicl.errors import UserError


def test_no_cluster_is_said_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    import ray

    def refuse(**_: object) -> None:
        raise ConnectionError("Could not find any running Ray instance.\n\nMore words.")

    monkeypatch.setenv("RAY_ADDRESS", "first:6379")
    monkeypatch.setattr(ray, "init", refuse)
    with pytest.raises(UserError) as caught, connect():
        pass
    assert str(caught.value).startswith("first:6379: no Ray cluster to work on (More words.); ray ")


def test_a_missing_ray_is_said_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UserError, match=r"Ray is not installed.*mmicl\[ray\]"), connect():
        pass
