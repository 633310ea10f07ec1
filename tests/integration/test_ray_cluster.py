"""`launch.spread: ray` in ingest and build: a real cluster of several nodes, one of which dies."""

import itertools
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ray.cluster_utils import Cluster

import mmicl.cluster
from mmicl.cluster import connect
from mmicl.config import Config, check_config, read_params
from mmicl.errors import DataError
from mmicl.files import hash_file
from mmicl.mic import builder
from mmicl.paths import Paths
from mmicl.sources import ahead
from mmicl.stages import StageContext, augment, build, fetch, ingest

ROOT = Path(__file__).resolve().parents[2]
WORLD = {
    "coco": "world://coco?n=40&seed=1",
    "vqav2": "world://vqav2?n=40&seed=2",
    "raven": "world://raven?n=12&seed=3",
}

pytestmark = pytest.mark.alone


@pytest.fixture(scope="module")
def nodes() -> Iterator[Cluster]:
    """A head that does no work and three nodes of one processor, each with its own raylet."""
    size: dict[str, Any] = {"object_store_memory": 2**27}
    cluster = Cluster(
        initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False, **size}
    )
    os.environ["RAY_ADDRESS"] = str(cluster.address)
    try:
        for _ in range(3):
            cluster.add_node(num_cpus=1, **size)
        yield cluster
    finally:
        del os.environ["RAY_ADDRESS"]
        cluster.shutdown()


def kill_one(nodes: Cluster) -> None:
    """Let a node die with what it works on."""
    victim = min(nodes.worker_nodes, key=lambda node: node.unique_id)
    nodes.remove_node(victim, allow_graceful=False)


def test_results_come_in_order_and_errors_as_they_were_raised(nodes: Cluster) -> None:
    def work(item: int) -> tuple[int, int]:
        time.sleep(0.1)
        if item == 99:
            raise DataError("cannot be read", where="record 99")
        return item, os.getpid()

    with connect() as cluster:
        found = list(cluster.stream(work, range(30)))
        assert [item for item, _ in found] == list(range(30))
        assert len({pid for _, pid in found} - {os.getpid()}) == 3
        with pytest.raises(DataError, match="record 99: cannot be read"):
            list(cluster.stream(work, range(90, 100)))


def test_what_a_node_takes_down_with_it_is_done_again(nodes: Cluster, tmp_path: Path) -> None:
    def work(item: int) -> int:
        (tmp_path / f"{item}-{os.getpid()}").touch()
        time.sleep(1.5)  # a node's processes outlive it by half a second
        return item

    def kill_when_all_work() -> None:
        while len({path.name.partition("-")[2] for path in tmp_path.iterdir()}) < 3:
            time.sleep(0.02)
        kill_one(nodes)

    killer = threading.Thread(target=kill_when_all_work, daemon=True)
    killer.start()
    with connect() as cluster:
        assert list(cluster.stream(work, range(12))) == list(range(12))
    killer.join(timeout=0)
    assert len(nodes.worker_nodes) == 2
    begun = [path.name.partition("-")[0] for path in tmp_path.iterdir()]
    assert len(begun) > len(set(begun)) == 12


def configure(folder: Path, spread: str) -> tuple[Config, Paths]:
    """A small checkout."""
    params = read_params(ROOT / "profiles" / "tiny.yaml")
    params["datasets"] = {name: params["datasets"][name] for name in WORLD}
    for name, source in WORLD.items():
        params["datasets"][name]["source"] = source
    params["build"] |= {"pretrain": {"coco": 100}, "finetune": {"vqav2": 100, "raven": 20}}
    params["evaluate"]["benchmarks"] = {}
    params["launch"]["spread"] = spread
    return check_config(params, "test"), Paths(folder / spread, folder / f"{spread}-state")


def prepare(folder: Path, spread: str) -> tuple[Config, Paths]:
    """A small checkout that is ready to build."""
    config, paths = configure(folder, spread)
    for name in WORLD:
        for stage in (fetch, ingest):
            stage.run(StageContext(f"stage@{name}", name, config, paths, "0"))
    augment.run(StageContext("augment", None, config, paths, "0"))
    return config, paths


def read_hashes(folder: Path) -> dict[str, str]:
    return {path.name: hash_file(path) for path in sorted(folder.iterdir())}


def test_ingest_with_a_node_killed_in_the_middle_gives_equal_bytes(
    nodes: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ahead, "SMALL", 5)
    monkeypatch.setattr(ahead, "WORK_PICTURES", 2)
    nodes.add_node(num_cpus=1, object_store_memory=2**27)
    before = len(nodes.worker_nodes)
    found = []
    for spread in ("processes", "ray"):
        config, paths = configure(tmp_path, spread)
        fetch.run(StageContext("fetch@coco", "coco", config, paths, "0"))
        context = StageContext("ingest@coco", "coco", config, paths, "0")
        if spread == "ray":
            kill_at_the_third(nodes, monkeypatch)
        ingest.run(context)
        assert context.facts["works"] > 10
        found.append((read_hashes(paths.images("coco")), read_hashes(paths.examples("coco"))))
    assert len(nodes.worker_nodes) == before - 1
    assert found[0] == found[1]


def kill_at_the_third(nodes: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a node die when the third result is taken."""
    take, taken = mmicl.cluster.Cluster._take, itertools.count(1)

    def count(self: mmicl.cluster.Cluster, reference: Any) -> Any:
        if next(taken) == 3:
            kill_one(nodes)
        return take(self, reference)

    monkeypatch.setattr(mmicl.cluster.Cluster, "_take", count)


def test_build_with_a_node_killed_in_the_middle_gives_equal_bytes(
    nodes: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(builder, "ROWS_A_TASK", 8)
    config, paths = prepare(tmp_path, "processes")
    build.run(StageContext("build", None, config, paths, "0"))
    expected = read_hashes(paths.mic)
    before = len(nodes.worker_nodes)
    kill_at_the_third(nodes, monkeypatch)
    config, paths = prepare(tmp_path, "ray")
    build.run(StageContext("build", None, config, paths, "0"))
    assert len(nodes.worker_nodes) == before - 1
    assert read_hashes(paths.mic) == expected
