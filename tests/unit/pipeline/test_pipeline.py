"""What DVC is asked, and what comes back."""

import json
import os
import shutil
import subprocess
import sys

import pytest

from mmicl import pipeline
from mmicl.errors import BusyError, DataError, UserError
from mmicl.lineage import fingerprint, recorded_fingerprint
from mmicl.paths import Paths

ALL = ["fetch", "build", "pretrain"]


def act(paths: Paths, stage: str, code: str) -> None:
    """Let a toy stage do something."""
    text = f"import os, time, sys\nfrom mmicl import errors\ndef act(context):\n    {code}\n"
    (paths.root / "acts" / f"{stage}.py").write_text(text)


def statuses(results: list[pipeline.StageResult]) -> dict[str, str]:
    return {result.name: result.status for result in results}


def why(paths: Paths) -> dict[str, str]:
    return {state.name: state.why for state in pipeline.status(paths)}


def test_every_stage_says_what_happened_to_it_and_why_it_would_run(toy_checkout: Paths) -> None:
    lines: list[str] = []
    assert set(why(toy_checkout)) == {"fetch@coco", "fetch@vqav2", "build", "pretrain"}
    assert why(toy_checkout)["build"] == "never ran; follows fetch@coco, fetch@vqav2"

    results = pipeline.bring_up_to_date(toy_checkout, ALL, lines.append)

    assert set(statuses(results).values()) == {"ran"}
    assert "build: started" in lines
    assert any(line.startswith("build: ran in ") for line in lines)
    assert all(state.up_to_date for state in pipeline.status(toy_checkout))
    again = pipeline.bring_up_to_date(toy_checkout, ALL, lines.append)
    assert set(statuses(again).values()) == {"up-to-date"}

    params = toy_checkout.root / "params.yaml"
    before = params.read_text()
    params.write_text(before.replace("seed: 1234", "seed: 4321"))
    assert why(toy_checkout) == {
        "fetch@coco": "",
        "fetch@vqav2": "",
        "build": "seed 1234 -> 4321",
        "pretrain": "follows build",
    }
    # The seed changes nothing that build writes here, so what follows is up to date after all.
    changed = pipeline.bring_up_to_date(toy_checkout, ALL, lines.append)
    assert statuses(changed)["build"] == "ran"
    assert statuses(changed)["pretrain"] == "up-to-date"
    params.write_text(before)
    restored = pipeline.bring_up_to_date(toy_checkout, ALL, lines.append)
    assert statuses(restored)["build"] == "restored"


def test_a_deleted_out_is_named_and_comes_back(toy_checkout: Paths) -> None:
    pipeline.bring_up_to_date(toy_checkout, ALL)
    was = (toy_checkout.mic / "out.txt").read_text()
    cache = toy_checkout.root / ".dvc" / "cache"
    shutil.rmtree(cache / "runs")  # what lies in the cache comes back without
    shutil.rmtree(toy_checkout.mic)
    assert why(toy_checkout)["build"] == "data/mic is missing"
    results = pipeline.bring_up_to_date(toy_checkout, ALL)
    assert statuses(results) == {
        "fetch@coco": "up-to-date", "fetch@vqav2": "up-to-date",
        "build": "restored", "pretrain": "up-to-date",
    }  # fmt: skip
    assert (toy_checkout.mic / "out.txt").read_text() == was
    shutil.rmtree(cache / "files")
    shutil.rmtree(toy_checkout.mic)
    assert statuses(pipeline.bring_up_to_date(toy_checkout, ALL))["build"] == "ran"
    assert (toy_checkout.mic / "out.txt").read_text() == was
    assert statuses(results)["pretrain"] == "up-to-date"


def test_a_lock_whose_cache_is_gone_costs_a_run(toy_checkout: Paths) -> None:
    # What a clone finds that has dvc.lock and nothing to pull from; an out that is one file.
    pipeline_file = toy_checkout.root / "dvc.yaml"
    text = pipeline_file.read_text()
    pipeline_file.write_text(text.replace("outs: [data/mic]", "outs: [data/mic/out.txt]"))
    pipeline.bring_up_to_date(toy_checkout, ALL)
    was = (toy_checkout.mic / "out.txt").read_text()
    shutil.rmtree(toy_checkout.root / ".dvc" / "cache")
    shutil.rmtree(toy_checkout.mic)
    assert statuses(pipeline.bring_up_to_date(toy_checkout, ALL))["build"] == "ran"
    assert (toy_checkout.mic / "out.txt").read_text() == was


def test_what_is_no_stage_has_no_fingerprint(toy_checkout: Paths) -> None:
    with pytest.raises(UserError, match=r"no stage absent in dvc\.yaml"):
        fingerprint(toy_checkout, "absent")


def test_a_record_tells_what_ran_under_the_fingerprint_of_the_lock(toy_checkout: Paths) -> None:
    pipeline.bring_up_to_date(toy_checkout, ["fetch", "build"])
    mark = fingerprint(toy_checkout, "build")
    assert recorded_fingerprint(toy_checkout, "build") == mark
    record = json.loads((toy_checkout.run("build", mark) / "record.json").read_text())
    assert record["facts"] == {"files": 2}
    assert record["fingerprint"] == mark
    assert len(record["code"]["revision"]) == 40


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("raise errors.DataError('3 of 9 records are unreadable', where='raw')", DataError),
        ("raise errors.UserError('no such base', where='model.base')", UserError),
    ],
)
def test_a_foreseen_error_comes_through_with_its_kind(
    toy_checkout: Paths, code: str, error: type[Exception]
) -> None:
    act(toy_checkout, "fetch@vqav2", code)
    lines: list[str] = []
    with pytest.raises(error, match=r"^fetch@vqav2: (raw: 3 of 9|model.base: no such base)"):
        pipeline.bring_up_to_date(toy_checkout, ALL, lines.append)
    assert not any("Traceback" in line for line in lines)
    assert recorded_fingerprint(toy_checkout, "build") is None


def test_a_bug_keeps_its_traceback_and_a_killed_stage_is_named(toy_checkout: Paths) -> None:
    act(toy_checkout, "build", "raise ZeroDivisionError('oh')")
    result = pipeline.try_up_to_date(toy_checkout, ALL)[-1]
    assert (result.name, result.status, result.kind) == ("build", "failed", "bug")
    assert "ZeroDivisionError: oh" in result.message
    assert "act(context)" in (toy_checkout.state / "logs" / "build.log").read_text()

    act(toy_checkout, "build", "os.kill(os.getpid(), 9)")
    result = pipeline.try_up_to_date(toy_checkout, ["build"])[-1]
    assert (result.kind, result.status) == ("bug", "failed")
    assert "137" in result.message


def test_a_missing_input_is_a_data_error(toy_checkout: Paths) -> None:
    with pytest.raises(DataError, match="data/raw"):
        pipeline.bring_up_to_date(toy_checkout, ["build"])


def test_a_wrong_parameter_stops_before_anything_runs(toy_checkout: Paths) -> None:
    params = toy_checkout.root / "params.yaml"
    params.write_text(params.read_text() + "tpyo: 1\n")
    with pytest.raises(UserError, match=r"params\.yaml: tpyo: unknown key"):
        pipeline.bring_up_to_date(toy_checkout, ALL)
    assert not (toy_checkout.root / "data").exists()


def test_a_folder_without_git_is_refused(toy_checkout: Paths) -> None:
    (toy_checkout.root / ".git").rename(toy_checkout.root / "git")
    with pytest.raises(UserError, match="not a git repository"):
        pipeline.bring_up_to_date(toy_checkout, ALL)


def test_a_stage_refuses_code_of_another_checkout(toy_checkout: Paths) -> None:
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-m", "mmicl.stages", "fetch", "coco"],
        cwd=toy_checkout.root,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "which is not this checkout's" in done.stderr
    assert done.stderr.count("\n") == 1


def test_locks_of_the_dead_are_dropped_and_those_of_the_living_named(toy_checkout: Paths) -> None:
    locks = toy_checkout.root / ".dvc" / "tmp" / "rwlock"
    held = str(toy_checkout.raw("coco"))

    def hold(pid: int) -> None:
        entry = {"pid": pid, "cmd": "mmicl stage fetch@coco"}
        locks.parent.mkdir(exist_ok=True)
        locks.write_text(json.dumps({"write": {held: entry}, "read": {held: [entry]}}))

    hold(os.getpid())  # lives, but elsewhere: an id that was used again
    assert pipeline.bring_up_to_date(toy_checkout, ["fetch@coco"])[0].status == "ran"
    living = subprocess.Popen(["sleep", "60"], cwd=toy_checkout.root)
    try:
        hold(living.pid)
        with pytest.raises(UserError, match=f"PID {living.pid} .mmicl stage fetch@coco"):
            pipeline.bring_up_to_date(toy_checkout, ["fetch@coco"])
        with pytest.raises(BusyError, match="data/raw/coco"):
            pipeline.status(toy_checkout)
    finally:
        living.kill()
        living.wait()


def test_launch_never_counts(toy_checkout: Paths) -> None:
    pipeline.bring_up_to_date(toy_checkout, ALL)
    params = toy_checkout.root / "params.yaml"
    text = params.read_text()
    assert "micro_batch: 16" in text
    params.write_text(text.replace("micro_batch: 16", "micro_batch: 2"))
    assert all(state.up_to_date for state in pipeline.status(toy_checkout))
