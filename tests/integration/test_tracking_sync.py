"""Tracking is an idempotent function of what lies on disk: real MLflow, DVC and git."""

import contextlib
import io
import json
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from fabricated import ITEMS, fabricate, lock, set_params, write_outs
from ruamel.yaml import YAML

from mmicl.config import load_config
from mmicl.errors import UserError
from mmicl.lineage import fingerprint
from mmicl.paths import Paths
from mmicl.registry.trace import print_trace, trace_model
from mmicl.tracking import (
    Registered,
    end_pipeline,
    model_folder,
    open_stage_run,
    start_pipeline,
    sync,
)
from mmicl.tracking.chain import read_chain
from mmicl.tracking.store import Store

TABLES = ("runs", "metrics", "params", "tags", "inputs", "datasets", "model_versions",
          "model_version_tags", "registered_model_aliases")  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Paths:
    """A fabricated checkout, never written to MLflow."""
    return fabricate(tmp_path_factory.mktemp("made") / "checkout")


@pytest.fixture
def paths(made: Paths, tmp_path: Path) -> Paths:
    """A copy of it for one test."""
    shutil.copytree(made.root, tmp_path / "checkout", symlinks=True)
    return Paths(tmp_path / "checkout", tmp_path / "checkout" / ".mmicl")


@pytest.fixture(scope="module")
def tracked(made: Paths, tmp_path_factory: pytest.TempPathFactory) -> tuple[Paths, Registered]:
    """A copy that was synced once, for tests that leave its stages as they are."""
    root = tmp_path_factory.mktemp("tracked") / "checkout"
    shutil.copytree(made.root, root, symlinks=True)
    paths = Paths(root, root / ".mmicl")
    return paths, track(paths)


def track(paths: Paths, run_id: str | None = None) -> Registered:
    return sync(paths, load_config(paths.root / "params.yaml"), run_id)


def count(paths: Paths) -> dict[str, int]:
    with contextlib.closing(sqlite3.connect(paths.mlflow_database)) as database:
        return {
            table: database.execute(f"select count(*) from {table}").fetchone()[0]  # noqa: S608
            for table in TABLES
        }


def test_second_sync_changes_nothing(tracked: tuple[Paths, Registered]) -> None:
    paths, first = tracked
    before = count(paths)
    assert before["model_versions"] == 1
    assert before["runs"] == 1 + 14  # fetch and ingest of three datasets, eight other stages
    assert track(paths) == first
    assert count(paths) == before


def test_pipeline_run_carries_everything(tracked: tuple[Paths, Registered]) -> None:
    paths, registered = tracked
    store = Store(paths)
    run = store.run(registered.pipeline_run)
    assert run.info.status == "FINISHED"
    assert run.data.params["finetune.learning_rate"] == "0.001"
    assert run.data.params["build.finetune.vqav2"] == "20"
    assert run.data.params["launch.threads"] == "1"
    assert run.data.metrics["vqav2.accuracy"] == 75.0
    assert run.data.metrics["vqav2.accuracy_low"] == 65.0
    assert run.data.metrics["pope.accuracy_majority"] == 52.0
    assert run.inputs is not None
    inputs = {item.dataset.name: item for item in run.inputs.dataset_inputs}
    assert set(inputs) == {"coco", "vqav2", "pope", "mic"}
    tags = {tag.key: tag.value for tag in inputs["coco"].tags}
    assert tags["dvc.md5"].endswith(".dir")
    assert tags["source"] == "world://coco?n=1000&seed=1&test=500"
    assert str(paths.root) not in inputs["coco"].dataset.source
    for name in ("params.yaml", "dvc.lock", "scores.json", "validation.json", "samples.html"):
        assert store.artifact(registered.pipeline_run, name), name
    assert store.artifact(registered.pipeline_run, "data_docs/index.html")
    page = store.artifact(registered.pipeline_run, "samples.html")
    assert page is not None
    text = page.read_text()
    assert text.count('<article class="high">') == text.count('<article class="low">') == 6
    assert text.count("data:image/jpeg;base64,") == 12
    report = store.artifact(registered.pipeline_run, "evaluation.html")
    assert report is not None
    assert "version 1 is champion: it passes every gate" in report.read_text()
    finetune = store.run(run.data.tags["mmicl.run.finetune"])
    assert finetune.data.tags["mlflow.parentRunId"] == registered.pipeline_run
    assert finetune.data.metrics["facts.kept.train"] == 2
    assert finetune.inputs is not None
    assert {it.dataset.name for it in finetune.inputs.dataset_inputs} == {"finetune", "val"}
    assert finetune.data.tags["facts.device"] == "cpu"
    assert finetune.info.run_id in run.data.tags["mlflow.note.content"]
    history = store.client.get_metric_history(finetune.info.run_id, "loss")
    assert [point.step for point in history] == list(range(1, 21))


def test_deleted_database_is_written_again(paths: Paths) -> None:
    code = (
        "from mmicl.config import load_config\nfrom mmicl.paths import Paths\n"
        "from mmicl.tracking import sync\npaths = Paths.here()\n"
        "sync(paths, load_config(paths.root / 'params.yaml'))\n"
    )
    counts = []
    for _ in range(2):  # processes of their own, as after a person's rm
        shutil.rmtree(paths.mlflow_database.parent, ignore_errors=True)
        subprocess.run([sys.executable, "-c", code], cwd=paths.root, check=True)
        counts.append(count(paths))
    assert counts[0] == counts[1]
    version = trace_model(paths, "mmicl-tiny")["model"]
    assert (version["version"], version["aliases"]) == (1, ["candidate", "champion"])
    assert (model_folder(paths, "mmicl-tiny@champion") / "config.json").is_file()


def test_second_pipeline_links_the_runs_that_were_up_to_date(
    tracked: tuple[Paths, Registered],
) -> None:
    paths, first = tracked
    run_id = start_pipeline(paths, "flow-run-2", "tiny")
    assert start_pipeline(paths, "flow-run-2", "tiny") == run_id
    second = track(paths, run_id)
    assert second.pipeline_run == run_id != first.pipeline_run
    assert second.version == first.version == 1
    store = Store(paths)
    one, two = store.run(first.pipeline_run), store.run(run_id)
    assert two.info.status == "RUNNING"  # the flow that began it ends it
    assert two.data.metrics == one.data.metrics
    assert two.data.params == one.data.params
    links = {key: value for key, value in two.data.tags.items() if key.startswith("mmicl.run.")}
    assert len(links) == 14
    assert links.items() <= one.data.tags.items()
    assert "no, up to date" in two.data.tags["mlflow.note.content"]


def test_scores_are_never_written_beside_params_that_did_not_make_them(paths: Paths) -> None:
    set_params(paths, finetune__steps=7)
    registered = track(paths)
    assert registered.version is None
    assert registered.stale == ("finetune", "evaluate", "register")
    run = Store(paths).run(registered.pipeline_run)
    assert run.data.params["finetune.steps"] == "7"
    assert not run.data.metrics
    assert "mmicl.run.pretrain" in run.data.tags
    assert "finetune: params, data or code changed" in run.data.tags["mmicl.stale"]


@pytest.mark.slow
def test_champion_yields_only_to_one_that_does_not_lose(paths: Paths) -> None:
    assert track(paths).aliases == ("candidate", "champion")

    def change(steps: int, right: int) -> Registered:
        set_params(paths, finetune__steps=steps)
        write_outs(paths, right)
        lock(paths)
        return track(paths)

    better = change(steps=2, right=ITEMS)
    assert (better.version, better.aliases) == (2, ("candidate", "champion"))
    worse = change(steps=3, right=28)
    assert (worse.version, worse.aliases) == (3, ("candidate",))
    assert "pope.accuracy -30.00" in worse.champion
    assert "against version 2, paired" in worse.champion
    failing = change(steps=4, right=20)
    assert (failing.version, failing.aliases) == (4, ("candidate",))
    assert "not passed" in failing.champion
    near = change(steps=5, right=ITEMS - 1)
    assert (near.version, near.aliases) == (5, ("candidate", "champion"))
    again = change(steps=3, right=28)
    assert (again.version, again.aliases) == (3, ())
    assert trace_model(paths, "mmicl-tiny@champion")["model"]["version"] == 5


def test_datasets_of_another_profile_in_the_lock_make_nothing_stale(made: Paths) -> None:
    lock_file = made.root / "dvc.lock"
    whole = lock_file.read_text()
    value = YAML(typ="safe").load(whole)
    for group in ("fetch", "ingest"):
        entry = json.dumps(value["stages"][f"{group}@coco"]).replace("coco", "elsewhere")
        value["stages"][f"{group}@elsewhere"] = json.loads(entry)
    try:
        YAML().dump(value, lock_file)
        chain = read_chain(made)
    finally:
        lock_file.write_text(whole)
    assert chain.stale == {}
    assert "register" in chain.stages
    assert "ingest@elsewhere" not in chain.stages


def test_stage_records_are_not_needed(paths: Paths) -> None:
    shutil.rmtree(paths.state / "runs")
    registered = track(paths)
    assert registered.version == 1
    store = Store(paths)
    made_by = store.run(registered.pipeline_run).data.tags["mmicl.run.finetune"]
    run = store.run(made_by)
    assert run.data.tags["mmicl.record"].startswith("absent")
    assert store.last_step(made_by, "loss") == 20  # from the curve that is a DVC out


def test_live_run_goes_on_after_a_kill_and_is_completed_from_disk(paths: Paths) -> None:
    mark = fingerprint(paths, "finetune")
    live = open_stage_run(paths, "finetune", mark)
    for step in range(1, 8):
        live.log_metrics({"loss": 3 - step / 20}, step)
    with pytest.raises(RuntimeError), open_stage_run(paths, "finetune", mark) as resumed:
        assert resumed.run_id == live.run_id
        for step in range(5, 11):  # from the checkpoint before the kill
            resumed.log_metrics({"loss": 3 - step / 20}, step)
        raise RuntimeError
    store = Store(paths)
    assert store.run(live.run_id).info.status == "FAILED"
    registered = track(paths)
    run = store.run(live.run_id)
    assert run.info.status == "FINISHED"
    assert run.data.tags["mlflow.parentRunId"] == registered.pipeline_run
    steps = [point.step for point in store.client.get_metric_history(live.run_id, "loss")]
    assert steps == list(range(1, 21))


def test_cut_off_pipeline_does_not_stay_running(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = start_pipeline(paths, "flow-run-1", "tiny")
    monkeypatch.setenv("MMICL_PIPELINE_RUN", first)
    child = open_stage_run(paths, "finetune", "0" * 40).run_id
    second = start_pipeline(paths, "flow-run-2", "tiny")
    store = Store(paths)
    statuses = [store.run(run_id).info.status for run_id in (first, child, second)]
    assert statuses == ["KILLED", "KILLED", "RUNNING"]
    end_pipeline(paths, second, "FAILED")
    assert store.run(second).info.status == "FAILED"


def test_register_stage_registers_before_it_is_in_the_lock(paths: Paths) -> None:
    mark = fingerprint(paths, "register")
    text = (paths.root / "dvc.lock").read_text()
    (paths.root / "dvc.lock").write_text(text[: text.index("  register:")])
    shutil.rmtree(paths.run("register", mark))
    config = load_config(paths.root / "params.yaml")
    assert track(paths).version is None
    during = sync(paths, config, registering=mark)
    assert during.version == 1
    assert not trace_model(paths, "mmicl-tiny")["dvc_lock"]["whole"]
    (paths.root / "dvc.lock").write_text(text)
    after = track(paths)
    assert after == during
    assert trace_model(paths, "mmicl-tiny")["dvc_lock"]["whole"]


def test_trace_walks_back_when_the_checkout_has_moved_on(paths: Paths) -> None:
    manifests = [
        json.loads(path.read_text()) for path in paths.root.glob("data/raw/*/manifest.json")
    ]
    track(paths)
    for folder in ("data", "models", "reports"):
        shutil.rmtree(paths.root / folder)
    stream = io.StringIO()
    print_trace(trace_model(paths, "mmicl-tiny@candidate"), stream)
    text = stream.getvalue()
    for manifest in manifests:
        for file in manifest["files"]:
            assert file["sha256"] in text
    for word in ("git revision", "dvc.lock sha256", "CC0-1.0", "vqa/0 by hand-written",
                 "vqav2.parquet sha256", "trained.json sha256"):  # fmt: skip
        assert word in text, word


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("other", "no such registered model; run the chain first"),
        ("mmicl-tiny@best", "no such version; there is mmicl-tiny/1 @candidate @champion"),
        ("mmicl-tiny/9", "no such version"),
    ],
)
def test_unknown_model_is_one_line(
    tracked: tuple[Paths, Registered], model: str, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        trace_model(tracked[0], model)
    for spelling in ("mmicl-tiny", "mmicl-tiny/1", "mmicl-tiny@champion"):
        assert trace_model(tracked[0], spelling)["model"]["version"] == 1


def test_deleted_artifacts_come_back(paths: Paths) -> None:
    track(paths)
    shutil.rmtree(paths.mlflow_database.parent / "artifacts")
    with pytest.raises(UserError, match="its artifact model was deleted; run mmicl track"):
        model_folder(paths, "mmicl-tiny")
    track(paths)
    assert (model_folder(paths, "mmicl-tiny") / "README.md").is_file()
    assert trace_model(paths, "mmicl-tiny")["datasets"]


def test_a_profilers_trace_comes_with_the_run_of_its_stage(paths: Paths) -> None:
    stage = read_chain(paths).stages["finetune"]
    (stage.folder / "trace.json.gz").write_bytes(b"a trace")
    track(paths)
    store = Store(paths)
    (run,) = store.find({"mmicl.stage": "finetune"})
    found = store.artifact(run.info.run_id, "trace.json.gz")
    assert found is not None and found.read_bytes() == b"a trace"


def test_nothing_to_track_is_said(paths: Paths) -> None:
    (paths.root / "dvc.lock").unlink()
    with pytest.raises(UserError, match="no stage ran here yet"):
        track(paths)


def test_two_processes_make_one_run(tmp_path: Path) -> None:
    """Get-or-create by tag without a lock makes two runs most of the time."""
    code = (
        "import sys\nfrom pathlib import Path\nfrom mmicl.paths import Paths\n"
        "from mmicl.tracking.store import Store\n"
        "store = Store(Paths(Path(sys.argv[1]), Path(sys.argv[1])))\n"
        "for line in sys.stdin:\n"
        "    store.get_or_create('run', {'mmicl.stage': 's', 'mmicl.fingerprint': line.strip()})\n"
        "    print('done', flush=True)\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    writers = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    for index in range(20):  # both are asked for the same run at the same moment
        for writer in writers:
            assert writer.stdin is not None
            writer.stdin.write(f"{index}\n")
            writer.stdin.flush()
        for writer in writers:
            assert writer.stdout is not None
            assert writer.stdout.readline() == "done\n"
    for writer in writers:
        writer.communicate(timeout=60)
    assert len(Store(Paths(tmp_path, tmp_path)).find({"mmicl.stage": "s"})) == 20
