"""Another profile or overrides run elsewhere, with this checkout's code, cache and state."""

import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest
from dvc.lock import Lock

from mmicl import pipeline
from mmicl.config import load_config
from mmicl.errors import ConfigError, UserError
from mmicl.lineage import code_state
from mmicl.paths import Paths
from mmicl.workspace import prepare_workspace, read_origin

ALL = ["fetch", "build", "pretrain"]


def test_overrides_run_elsewhere_and_share_what_is_known(toy_checkout: Paths) -> None:
    pipeline.bring_up_to_date(toy_checkout, ALL)
    params, lock = toy_checkout.root / "params.yaml", toy_checkout.root / "dvc.lock"
    before = params.read_text(), lock.read_text()

    overrides = ["pretrain.steps=7", "build.scheme={declaration: true, in_context: false, "]
    overrides[1] += "interrelated: true, tags: false}"
    workspace = prepare_workspace(toy_checkout, None, overrides)

    assert workspace.root.is_relative_to(toy_checkout.state)
    assert workspace.state == toy_checkout.state
    config = load_config(workspace.root / "params.yaml")
    assert (config.pretrain.steps, config.build.scheme.in_context) == (7, False)
    why = {state.name: state.why for state in pipeline.status(workspace)}
    assert why["fetch@coco"] == "data/raw/coco is missing"
    assert "build.scheme.in_context True -> False" in why["build"]
    results = pipeline.bring_up_to_date(workspace, ALL)
    assert [result.status for result in results] == ["restored", "restored", "ran", "ran"]
    assert (params.read_text(), lock.read_text()) == before
    assert prepare_workspace(toy_checkout, "tiny", overrides) == workspace
    assert all(state.up_to_date for state in pipeline.status(workspace))

    origin = read_origin(workspace.root)
    assert origin is not None
    assert (origin.checkout, origin.overrides) == (toy_checkout.root, tuple(overrides))
    assert read_origin(toy_checkout.root) is None


def test_a_workspace_begins_with_the_lock_of_the_one_that_ran_last(toy_checkout: Paths) -> None:
    first = prepare_workspace(toy_checkout, None, ["pretrain.steps=7"])
    assert not (first.root / "dvc.lock").exists()
    pipeline.bring_up_to_date(first, ALL)
    second = prepare_workspace(toy_checkout, None, ["pretrain.steps=8"])
    assert (second.root / "dvc.lock").read_bytes() == (first.root / "dvc.lock").read_bytes()
    results = pipeline.bring_up_to_date(second, ALL)
    assert [result.status for result in results] == ["restored"] * 3 + ["ran"]
    assert not (toy_checkout.root / "dvc.lock").exists()


def test_a_lock_that_is_cut_or_being_written_is_passed_over(toy_checkout: Paths) -> None:
    whole = prepare_workspace(toy_checkout, None, ["pretrain.steps=7"])
    pipeline.bring_up_to_date(whole, ALL)
    for steps, text in ((8, ""), (9, 'schema: "2.0"\nstages:\n  build: {cmd: [')):
        lock = prepare_workspace(toy_checkout, None, [f"pretrain.steps={steps}"]).root / "dvc.lock"
        assert lock.read_bytes() == (whole.root / "dvc.lock").read_bytes()
        lock.write_text(text)  # the newest from now on
    with Lock(str(whole.root / ".dvc" / "tmp" / "lock")):
        busy = prepare_workspace(toy_checkout, None, ["pretrain.steps=10"])
    assert not (busy.root / "dvc.lock").exists()
    prepare_workspace(toy_checkout, None, ["pretrain.steps=10"])
    assert (busy.root / "dvc.lock").read_bytes() == (whole.root / "dvc.lock").read_bytes()


def test_two_workspaces_at_a_time_compute_what_they_share_once(toy_checkout: Paths) -> None:
    act = "import time\n\n\ndef act(context):\n    time.sleep(2)\n"
    (toy_checkout.root / "acts" / "build.py").write_text(act)
    own = [prepare_workspace(toy_checkout, None, [f"pretrain.steps={steps}"]) for steps in (7, 8)]
    lines: list[str] = []
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(
            lambda paths: pipeline.bring_up_to_date(paths, ALL, lines.append), own
        )
    for one, other in zip(first, second, strict=True):
        wanted = {"ran"} if one.name == "pretrain" else {"ran", "restored"}
        assert {one.status, other.status} == wanted, one.name
    assert "build: waits for another workspace, which computes it" in lines


def test_a_workspace_runs_the_checkouts_present_code(toy_checkout: Paths) -> None:
    root = toy_checkout.root
    overrides = ["seed=5"]
    workspace = prepare_workspace(toy_checkout, None, overrides)
    assert code_state(workspace.root)["revision"] == code_state(root)["revision"]

    # Changed, new and removed files, none of them committed.
    stage = root / "components" / "mmicl" / "stages" / "build.py"
    stage.write_text(stage.read_text() + "\nCHANGED = 1\n")
    (root / "acts" / "build.py").write_text(
        "def act(context):\n    import mmicl; print('code at', mmicl.__file__)\n"
    )
    (root / "profiles").mkdir()
    (root / "profiles" / "gone.yaml").write_text("x: 1\n")
    prepare_workspace(toy_checkout, None, overrides)
    (root / "profiles" / "gone.yaml").unlink()
    prepare_workspace(toy_checkout, None, overrides)

    assert not (workspace.root / "profiles" / "gone.yaml").exists()
    lines: list[str] = []
    pipeline.bring_up_to_date(workspace, ["fetch", "build"], lines.append)
    assert f"code at {workspace.root / 'components' / 'mmicl' / '__init__.py'}" in lines
    dirty = code_state(workspace.root)["dirty"]
    assert dirty == ["acts/", "components/mmicl/stages/build.py", "params.yaml"]

    identity = ["-c", "user.name=toy", "-c", "user.email=toy@example.org"]
    subprocess.run(["git", *identity, "commit", "-qam", "More"], cwd=root, check=True)
    prepare_workspace(toy_checkout, None, overrides)
    assert code_state(workspace.root)["revision"] == code_state(root)["revision"]


@pytest.mark.parametrize(
    ("profile", "overrides", "error", "message"),
    [
        (None, ["pretrain.stepz=7"], ConfigError, "pretrain.stepz: unknown key"),
        (None, ["pretrain.steps=none"], ConfigError, "pretrain.steps: .*got 'none'"),
        (None, ["nothing.steps=1"], UserError, "no section nothing"),
        (None, ["pretrain.steps"], UserError, "not of the form key=value"),
        (None, ["seed={"], UserError, "seed={: the value is not YAML"),
        ("huge", [], UserError, "huge: no such profile"),
    ],
)
def test_a_bad_request_leaves_no_workspace(
    toy_checkout: Paths,
    profile: str | None,
    overrides: list[str],
    error: type[Exception],
    message: str,
) -> None:
    with pytest.raises(error, match=message):
        prepare_workspace(toy_checkout, profile, overrides)
    assert not (toy_checkout.state / "workspaces").exists()
