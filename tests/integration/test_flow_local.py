"""The command around the flow: ports, one holder of the services, workspaces, names of runs."""

import os
import socket
import subprocess
import sys

import pytest
from ruamel.yaml import YAML

from flows import services
from flows.stage import bring_up_to_date, summarize
from mmicl.errors import BusyError, DataError
from mmicl.paths import Paths
from mmicl.pipeline import StageResult
from mmicl.workspace import prepare_workspace


def result(name: str, status: str, seconds: float = 1.0) -> StageResult:
    return StageResult(name, status, seconds)  # type: ignore[arg-type]


def test_a_group_is_summed_up_in_a_few_words() -> None:
    group = [result("fetch@a", "ran"), result("fetch@b", "up-to-date"), result("fetch@c", "ran")]
    assert summarize(group) == "2 ran, 1 up to date (3.0 s)"
    assert summarize([result("build", "restored", 0.25)]) == "restored (0.2 s)"


def test_a_port_belongs_to_who_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_URL", "https://elsewhere.example.org:9/api")
    assert services.wanted_port() == 4200
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        monkeypatch.setenv("PREFECT_API_URL", f"http://127.0.0.1:{port}/api")
        assert services.wanted_port() == port
        with pytest.raises(BusyError, match=f"127.0.0.1:{port}: the port is taken"):
            services.check_free(port, "the server", "X=N")
    services.check_free(port, "the server", "X=N")


def test_services_have_one_holder(toy_checkout: Paths) -> None:
    with services.hold_services(toy_checkout, "up", 4321) as first:
        assert first is None
        with services.hold_services(toy_checkout, "run", 1) as second:
            assert second == services.Holder("up", os.getpid(), 4321)
    with services.hold_services(toy_checkout, "run", 1) as third:
        assert third is None


@pytest.mark.alone
def test_another_profile_runs_in_a_workspace_of_the_same_deployment(toy_checkout: Paths) -> None:
    root = toy_checkout.root
    before = (root / "params.yaml").read_bytes()
    workspace = prepare_workspace(toy_checkout, None, ["pretrain.steps=3", "seed=8"])
    environment = {
        **os.environ,
        "PYTHONPATH": str(root / "components"),
        "MMICL_STATE": str(toy_checkout.state),
    }
    done = subprocess.run(
        [sys.executable, "-m", "flows.local", "run"],
        cwd=workspace.root,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"working in {workspace.root}" in done.stdout
    assert "pretrain: ran in" in done.stdout
    assert (workspace.pretrained / "out.txt").is_file()
    assert (workspace.root / "reports" / "summary.json").is_file()
    assert (root / "params.yaml").read_bytes() == before
    assert not (root / "dvc.lock").exists()
    lock = YAML(typ="safe").load(workspace.root / "dvc.lock")
    assert lock["stages"]["build"]["params"]["params.yaml"]["seed"] == 8


@pytest.mark.alone
@pytest.mark.parametrize(("error", "attempts"), [("TransientError", 2), ("DataError", 1)])
def test_only_a_transient_failure_is_tried_again(
    toy_checkout: Paths, error: str, attempts: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    from prefect.testing.utilities import prefect_test_harness

    from flows import stage

    monkeypatch.setattr(
        stage, "_bring_up_to_date", stage._bring_up_to_date.with_options(retry_delay_seconds=0)
    )
    count = toy_checkout.root / "acts" / "count"
    (toy_checkout.root / "acts" / "fetch@coco.py").write_text(
        "from pathlib import Path\n"
        f"from mmicl.errors import {error}\n"
        "def act(context):\n"
        f"    count = Path({str(count)!r})\n"
        "    tried = int(count.read_text()) if count.exists() else 0\n"
        "    count.write_text(str(tried + 1))\n"
        f"    if tried == 0:\n        raise {error}('the first time', where='there')\n"
    )
    with prefect_test_harness():
        if error == "TransientError":
            assert bring_up_to_date(toy_checkout, "fetch")[0].status == "ran"
        else:
            with pytest.raises(DataError, match="fetch@coco: there: the first time"):
                bring_up_to_date(toy_checkout, "fetch")
    assert int(count.read_text()) == attempts
