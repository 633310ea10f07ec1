"""Both stages through torchrun: outs, kills, ranks, and errors that reach the stage."""

import json
import os
import random
import re
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
from forked_ranks import launch_forked
from training_run import prepare_features
from training_workspace import make_sample, make_workspace, read_config

from mmicl.config import Launch
from mmicl.errors import DataError, ResourceError
from mmicl.files import hash_file, read_json, read_rows, write_rows
from mmicl.launch.local import launch_training
from mmicl.model.loading import load_model
from mmicl.model.lora import ROWS
from mmicl.paths import Paths
from mmicl.records import Sample
from mmicl.stages import StageContext, features, finetune, pretrain
from mmicl.train.meters import read_curve
from mmicl.train.stage import Launcher, run_training


def train(
    paths: Paths, run: str, stage: str = "pretrain", launcher: Launcher = launch_forked
) -> Path:
    """Train a stage in a run folder of its own; returns the out."""
    out = paths.root / run
    launch = read_config(paths).launch
    run_training(stage, paths, paths.run(stage, run), out, launch, launcher)
    return out


def kill_rank(run_folder: Path, after: int) -> threading.Thread:
    """Kill -9 one rank below this process as soon as so many steps are done."""
    meters = run_folder / "meters.jsonl"

    def work() -> None:
        for _ in range(20_000):
            if meters.exists() and len(meters.read_bytes().splitlines()) >= after:
                break
            time.sleep(0.01)
        for process in psutil.Process().children(recursive=True):
            command = process.cmdline()
            if "mmicl.train.worker" in command and "torch.distributed.run" not in command:
                os.kill(process.pid, signal.SIGKILL)
                return  # another one says that it has lost its neighbour, which is no bug

    thread = threading.Thread(target=work)
    thread.start()
    return thread


def ranks_alive() -> list[int]:
    return [
        process.pid
        for process in psutil.Process().children(recursive=True)
        if process.is_running() and "mmicl.train.worker" in process.cmdline()
    ]


@pytest.mark.slow
def test_a_killed_training_ends_with_the_weights_of_an_undisturbed_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], drawn: random.Random
) -> None:
    # With dropout: without the restored state of the random numbers the weights would differ.
    paths = make_workspace(tmp_path, dropout=0.1, checkpoint_every=4)
    read_config(paths, pretrain={"steps": 60})
    whole = train(paths, "whole")
    folder = paths.run("pretrain", "cut")
    killer = kill_rank(folder, drawn.randint(5, 45))
    with pytest.raises(ResourceError, match="a training process was killed"):
        train(paths, "cut", launcher=launch_training)
    killer.join()
    assert not (paths.root / "cut").exists()
    assert ranks_alive() == []
    reached = max(int(path.name[5:]) for path in folder.glob("step_*"))
    assert reached < 60
    capsys.readouterr()
    cut = train(paths, "cut", launcher=launch_training)
    assert f"going on from step {reached}" in capsys.readouterr().out
    for name in ("trained.safetensors", "trained.json", "curve.csv"):
        assert hash_file(cut / name) == hash_file(whole / name), name


@pytest.mark.slow
@pytest.mark.parametrize(("before", "after", "zero_stage"), [(2, 1, 2), (1, 2, 3)])
def test_a_killed_training_goes_on_with_another_number_of_ranks(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    drawn: random.Random,
    before: int,
    after: int,
    zero_stage: int,
) -> None:
    paths = make_workspace(tmp_path, zero_stage=zero_stage, checkpoint_every=4)
    read_config(paths, pretrain={"steps": 60}, launch={"processes": after, "threads": after})
    whole = read_curve(train(paths, "whole") / "curve.csv")
    read_config(paths, launch={"processes": before, "threads": before})
    killer = kill_rank(paths.run("pretrain", "cut"), drawn.randint(5, 45))
    with pytest.raises(ResourceError, match="a training process was killed"):
        train(paths, "cut", launcher=launch_training)
    killer.join()
    read_config(paths, launch={"processes": after, "threads": after})
    capsys.readouterr()
    cut = read_curve(train(paths, "cut", launcher=launch_training) / "curve.csv")
    assert "going on from step" in capsys.readouterr().out
    assert len(cut) == len(whole) == 60
    for one, other in zip(whole, cut, strict=True):
        assert other.loss == pytest.approx(one.loss, rel=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("stage", "zero_stage", "precision"),
    [
        ("pretrain", 0, "fp32"),
        ("pretrain", 1, "fp32"),
        ("pretrain", 2, "bf16"),
        ("pretrain", 3, "fp32"),
        ("finetune", 2, "fp32"),
    ],
)
def test_every_zero_stage_goes_on_from_two_ranks_to_one_and_back(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    stage: str,
    zero_stage: int,
    precision: str,
) -> None:
    loss, norm = {"fp32": (1e-5, 1e-3), "bf16": (1e-2, 1e-1)}[precision]
    paths = make_workspace(tmp_path, zero_stage=zero_stage, checkpoint_every=2)
    read_config(paths, pretrain={"precision": precision})
    read_config(paths, finetune={"validation": {"every": 3, "patience": None, "keep": "last"}})
    if stage == "finetune":
        prepare_features(paths)
    read_config(paths, launch={"processes": 2, "threads": 2})
    run = paths.run(stage, "run")
    whole = read_curve(train(paths, "run", stage) / "curve.csv")
    expected = read_json(run / "result" / "trained.json")
    for ranks, step in ((1, 2), (2, 4)):
        read_config(paths, launch={"processes": ranks, "threads": ranks})
        shutil.rmtree(run / "result")
        for later in range(step + 2, 6, 2):
            shutil.rmtree(run / f"step_{later}")
        capsys.readouterr()
        again = read_curve(train(paths, "run", stage) / "curve.csv")
        assert f"going on from step {step}\n" in capsys.readouterr().out
        for one, other in zip(whole, again, strict=True):
            assert other.loss == pytest.approx(one.loss, rel=loss)
            assert other.grad_norm == pytest.approx(one.grad_norm, rel=norm)
        found = read_json(run / "result" / "trained.json")
        if stage == "finetune":  # that of step 3 came from the checkpoint, or was measured anew
            assert found["validation_loss"] == pytest.approx(expected["validation_loss"], abs=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("zero_stage", "learning"),
    [(2, {}), (3, {}), (3, {"lora": {"rank": 2, "alpha": 4.0}, "train_proxies": True})],
)
def test_two_ranks_train_and_validate_as_one_in_stage_two(
    tmp_path: Path, zero_stage: int, learning: dict[str, Any]
) -> None:
    paths = make_workspace(tmp_path, zero_stage=zero_stage, pictures=22)
    table = paths.mic / "finetune.parquet"
    rows = read_rows(table, Sample)
    # Without images, and shorter than the others: one rank's share of a batch, and not the other's.
    texts = [make_sample("yes", f"Is {index} a number?", [], index) for index in range(100, 109)]
    write_rows(table, [*rows, *texts], Sample)
    validation = {"every": 2, "patience": None, "keep": "best"}
    read_config(paths, finetune={"steps": 5, "validation": validation, **learning})
    prepare_features(paths)
    curves, records = [], []
    for ranks in (1, 2):
        read_config(paths, launch={"processes": ranks, "threads": ranks, "micro_batch": 3})
        out = train(paths, f"by {ranks}", "finetune")
        curves.append(read_curve(out / "curve.csv"))
        records.append(read_json(out / "trained.json"))
    for alone, together in zip(*curves, strict=True):
        assert together.loss == pytest.approx(alone.loss, rel=1e-5)
        assert together.grad_norm == pytest.approx(alone.grad_norm, rel=1e-3)
    one, two = records
    assert two["best"]["step"] == one["best"]["step"]
    for name in ("validation_loss", "final_loss"):
        assert two[name] == pytest.approx(one[name], rel=1e-5)


@pytest.mark.slow
def test_two_and_four_ranks_see_what_one_sees(tmp_path: Path) -> None:
    paths = make_workspace(tmp_path, zero_stage=2, pictures=22)
    # With the contrast, whose choices are the whole batch's captions.
    read_config(paths, pretrain={"steps": 5, "contrastive": 0.1})
    one = read_curve(train(paths, "one") / "curve.csv")
    assert len(one) == 5
    for ranks in (2, 4):
        read_config(paths, launch={"processes": ranks, "threads": ranks, "micro_batch": 2})
        several = read_curve(train(paths, f"by {ranks}") / "curve.csv")
        for alone, together in zip(one, several, strict=True):
            assert together.loss == pytest.approx(alone.loss, rel=1e-5)
            assert together.grad_norm == pytest.approx(alone.grad_norm, rel=1e-3)


@pytest.mark.slow
def test_a_run_that_diverged_on_two_ranks_names_the_samples_of_both(tmp_path: Path) -> None:
    paths = make_workspace(tmp_path, zero_stage=2)
    launch = {"processes": 2, "threads": 2, "micro_batch": 2}
    diverging = {"learning_rate": 1e30, "warmup_ratio": 0.0, "max_skipped": 2}
    read_config(paths, pretrain=diverging, launch=launch)
    message = r"pretrain: the loss is not finite at step 4 and 2 before it, for coco/.* more; look"
    with pytest.raises(DataError, match=message):
        train(paths, "diverged", launcher=launch_training)
    lines = (paths.run("pretrain", "diverged") / "skipped.jsonl").read_text().splitlines()
    found = [json.loads(line) for line in lines]
    assert [(line["step"], len(line["samples"])) for line in found] == [(2, 8), (3, 8), (4, 8)]


@pytest.mark.slow
def test_stages_of_no_steps_hand_the_base_on(tmp_path: Path) -> None:
    paths = make_workspace(tmp_path)
    config = read_config(paths, pretrain={"steps": 0}, finetune={"steps": 0})
    facts = {}
    for stage in (pretrain, features, finetune):
        name = stage.__name__.rpartition(".")[2]
        context = StageContext(name, None, config, paths, "0" * 40)
        stage.run(context)
        facts[name] = context.facts
    assert facts["features"]["images"] == 24
    assert facts["finetune"]["final_loss"] is None
    base, _ = load_model(str(paths.root / "base"))
    same, _ = load_model(str(paths.root / "base"), trained=[paths.pretrained, paths.finetuned])
    for name, value in same.state_dict().items():
        assert torch.equal(value, base.state_dict()[name]), name
    for name in ("pretrain", "finetune"):
        assert read_curve(paths.curve(name)) == []


@pytest.mark.slow
def test_both_stages_write_their_outs(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = make_workspace(tmp_path)
    config = read_config(paths, finetune={"steps": 4, "trainable_attention": "paper"})
    facts = {}
    for stage in (pretrain, features, finetune):
        name = stage.__name__.rpartition(".")[2]
        context = StageContext(name, None, config, paths, "0" * 40)
        stage.run(context)
        facts[name] = context.facts
        if stage is features:  # its outs are up to date, the store lies elsewhere and gets lost
            shutil.rmtree(paths.cache("features"))
    told = capfd.readouterr().out
    assert "0s left" in told
    assert "some are missing from the store, and are computed again" in told
    manifest = read_json(paths.features)
    assert manifest["number"] == facts["features"]["images"] == 24
    assert manifest["shape"] == [4, 128]
    record = read_json(paths.finetuned / "trained.json")
    assert record["recipe"] == "paper"
    assert 0 < record["validation_loss"] < 10
    assert all(re.search(r"projection|Attention\.[qv]", name) for name in record["names"])
    for name in ("pretrain", "finetune"):
        curve = read_curve(paths.curve(name))
        assert [row.step for row in curve] == list(range(1, len(curve) + 1))
    assert str(tmp_path) not in (paths.finetuned / "curve.csv").read_text()
    # A finished run gives its outs again without training.
    before = hash_file(paths.finetuned / "trained.safetensors")
    (paths.finetuned / "trained.safetensors").unlink()
    capfd.readouterr()
    finetune.run(StageContext("finetune", None, config, paths, "0" * 40))
    assert "tensors learn" not in capfd.readouterr().out
    assert hash_file(paths.finetuned / "trained.safetensors") == before


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on a disk of its own, of a megabyte."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("mounting a small disk is not permitted here")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.mark.slow
def test_a_disk_that_takes_not_even_the_error_is_named(tmp_path: Path, small_disk: Path) -> None:
    def fill_and_launch(stage: str, paths: Paths, run_folder: Path, launch: Launch) -> int:
        threading.Thread(target=fill, args=[run_folder]).start()
        return launch_training(stage, paths, run_folder, launch)

    def fill(folder: Path) -> None:
        log = folder / "ranks.log"
        while not (log.exists() and "tensors learn" in log.read_text()):
            time.sleep(0.01)
        (folder / "rest").write_bytes(bytes(shutil.disk_usage(folder).free))

    paths = make_workspace(tmp_path / "checkout")
    launch = read_config(paths).launch
    with pytest.raises(ResourceError, match=r"disk: no room to write .*launch.keep_checkpoints"):
        run_training("pretrain", paths, small_disk, paths.root / "out", launch, fill_and_launch)
    assert ranks_alive() == []


@pytest.mark.slow
def test_a_rank_error_reaches_the_stage(tmp_path: Path) -> None:
    paths = make_workspace(tmp_path)
    (paths.mic / "pretrain.parquet").unlink()
    with pytest.raises(DataError, match=r"pretrain.parquet: no such file"):
        train(paths, "broken", launcher=launch_training)
    assert not (paths.root / "broken").exists()


@pytest.mark.slow
def test_stage_two_trains_adapters_that_merge_on_loading(tmp_path: Path) -> None:
    paths = make_workspace(tmp_path)
    lora = {"rank": 2, "alpha": 4.0}
    finetuning = {"steps": 4, "lora": lora, "train_proxies": True}
    config = read_config(paths, pretrain={"steps": 0}, finetune=finetuning)
    for stage in (pretrain, features, finetune):
        name = stage.__name__.rpartition(".")[2]
        stage.run(StageContext(name, None, config, paths, "0" * 40))
    record = read_json(paths.finetuned / "trained.json")
    assert record["lora"] == lora
    rows = [name for name in record["names"] if "projection" not in name and "lora_" not in name]
    assert rows == [ROWS]
    assert record["names"][ROWS][0] == len(record["tokens"]) == 20
    base, _ = load_model(str(paths.root / "base"))
    tuned, _ = load_model(str(paths.root / "base"), trained=[paths.pretrained, paths.finetuned])
    changed = {
        name
        for name, value in tuned.state_dict().items()
        if not torch.equal(value, base.state_dict()[name])
    }
    assert any(name.endswith("SelfAttention.k.weight") for name in changed)
    table = {name for name in changed if tuned.state_dict()[name].shape[0] > 2000}
    assert "language_model.shared.weight" in table
    assert all(re.search(r"projection|Attention\.[kv]\.weight", name) for name in changed - table)
    old, new = (model.state_dict()["language_model.shared.weight"] for model in (base, tuned))
    moved = {int(row) for row in old.ne(new).any(dim=1).nonzero()}
    assert moved <= set(record["tokens"])
    assert {4, 5} <= moved, "the first two proxies, which every prompt of several images has"
