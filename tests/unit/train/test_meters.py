"""The curve to the last digit, rates over seconds, lines a person can read."""

import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mmicl.errors import DataError
from mmicl.train.batches import StepBatch
from mmicl.train.meters import (
    CurveRow,
    Progress,
    Throughput,
    append_meters,
    drop_later,
    read_curve,
    write_curve,
)

ROWS = [CurveRow(1, 1 / 3, 1e-3, 2.5, 0.0), CurveRow(2, 0.1 + 0.2, 2e-3, 1e-17, 0.125)]


def test_a_curve_comes_back_to_the_last_digit(tmp_path: Path) -> None:
    write_curve(tmp_path / "curve.csv", ROWS)
    assert read_curve(tmp_path / "curve.csv") == ROWS
    first = (tmp_path / "curve.csv").read_text().splitlines()[0]
    assert first == "step,loss,learning_rate,grad_norm,padding_share"


def test_lines_of_steps_that_are_done_again_go(tmp_path: Path) -> None:
    log = tmp_path / "meters.jsonl"
    drop_later(log, 3)  # not there yet
    for step in (2, 3, 4):
        append_meters(log, step, {"mfu": 0.5})
    whole = log.read_text()
    log.write_text(whole + '{"step": 5, "mf')
    drop_later(log, 3)
    assert log.read_text() == "".join(whole.splitlines(keepends=True)[:2])


def test_ids_of_any_script_stay_whole_and_a_cut_one_goes(tmp_path: Path) -> None:
    log = tmp_path / "skipped.jsonl"
    line = '{"step": 1, "samples": ["coco/train/\u2028\u56fe"]}\n'.encode()
    log.write_bytes(line + line.replace(b"1", b"2")[:-6])  # within the last character
    drop_later(log, 5)
    assert log.read_bytes() == line


@pytest.mark.parametrize("text", ["step,loss\n1,x\n", "a,b\n1,2\n"])
def test_what_is_no_curve_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "curve.csv").write_text(text)
    with pytest.raises(DataError, match=r"curve.csv: not a curve"):
        read_curve(tmp_path / "curve.csv")


def test_rates_are_counts_over_seconds_since_the_last_report() -> None:
    batch = StepBatch([], 32, 64, 1000, 100, 0.0, 0)
    meter = Throughput(since=time.monotonic() - 5.0)
    meter.exclude(3.0)
    meter.add(batch, waited=0.5)
    meter.add(batch, waited=0.5)
    rates = meter.report()
    assert rates["samples_per_second"] == pytest.approx(32, rel=0.05)
    assert rates["images_per_second"] == pytest.approx(64, rel=0.05)
    assert rates["tokens_per_second"] == pytest.approx(1000, rel=0.05)
    assert rates["data_wait_share"] == pytest.approx(0.5, rel=0.05)
    assert rates["peak_memory_mib"] > 10
    assert "mfu" not in rates
    assert meter.report()["samples_per_second"] == 0


def test_padding_is_shared_over_the_tokens_of_all_steps_since_the_last_report() -> None:
    meter = Throughput()
    meter.add(StepBatch([], 32, 64, 1000, 100, 0.0, 0), waited=0.0)
    meter.add(StepBatch([], 32, 64, 400, 100, 0.75, 0), waited=0.0)
    # prompts of 900 and 300 tokens, computed on as 900 and 1200
    assert meter.report()["mean_padding_share"] == pytest.approx(1 - 1200 / 2100)
    meter.add(StepBatch([], 32, 64, 1000, 100, 0.5, 0), waited=0.0)
    assert meter.report()["mean_padding_share"] == pytest.approx(0.5)


def test_mfu_is_this_ranks_operations_over_the_peak() -> None:
    meter = Throughput(peak_tflops=2.0, since=time.monotonic() - 5.0)
    for _ in range(2):
        meter.add(StepBatch([], 32, 64, 1000, 100, 0.0, 0), waited=0.0, operations=10**12)
    assert meter.report()["mfu"] == pytest.approx(0.2, rel=0.05)
    assert meter.report()["mfu"] == 0


def test_lines_say_step_loss_rate_and_time_left(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [100.0]
    monkeypatch.setattr("mmicl.train.meters.time.monotonic", lambda: clock[0])
    progress = Progress("finetune", 100, speaking=True)
    for step in range(1, 13):
        clock[0] += 1.0
        progress.step(CurveRow(step, 2.5, 1e-3, 1.0, 0.0), samples=32)
    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        "finetune: step 5/100, loss 2.5000, 32.0 samples/s, 1m35s left",
        "finetune: step 10/100, loss 2.5000, 32.0 samples/s, 1m30s left",
    ]


def test_the_last_step_is_always_said_and_other_ranks_are_silent(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for speaking in (True, False):
        progress = Progress("pretrain", 2, speaking)
        for row in ROWS:
            progress.step(row, samples=1)
    (line,) = capsys.readouterr().out.splitlines()
    assert re.match(r"pretrain: step 2/2, loss 0\.3000, .*0s left", line)


def test_the_peak_is_that_of_this_process_and_not_of_the_one_that_started_it() -> None:
    held = b"x" * 2**30
    code = "from mmicl.train.meters import peak_memory; print(peak_memory())"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    del held
    assert 50 < float(told.stdout) < 1000
