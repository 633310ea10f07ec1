"""An error of a rank reaches the stage as what it is."""

import errno
import json
import os
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError

from mmicl.config import load_config
from mmicl.errors import DataError, MmiclError, ResourceError, TransientError, UserError
from mmicl.train.outcome import clear_errors, raise_error, write_error

LOG = Path("ranks.log")
LAUNCH = load_config(Path(__file__).parents[3] / "profiles" / "tiny.yaml").launch


@pytest.mark.parametrize("kind", [UserError, DataError, ResourceError, TransientError])
def test_a_foreseen_error_keeps_kind_and_line(tmp_path: Path, kind: type[MmiclError]) -> None:
    write_error(tmp_path, 1, kind("broken", where="a.json", remedy="mend it"), LAUNCH)
    with pytest.raises(kind, match=r"^a.json: broken; mend it$"):
        raise_error(tmp_path, "pretrain", 1, LOG)


def test_what_a_rank_foresaw_counts_more_than_what_followed_from_it(tmp_path: Path) -> None:
    write_error(tmp_path, 0, RuntimeError("connection closed by peer"), LAUNCH)
    write_error(tmp_path, 1, DataError("a hole", where="vqa/7"), LAUNCH)
    with pytest.raises(DataError, match="vqa/7"):
        raise_error(tmp_path, "pretrain", 1, LOG)


def test_a_rank_that_was_killed_counts_more_than_one_that_lost_it(tmp_path: Path) -> None:
    lost = "[gloo/transport/tcp/pair.cc:537] Read error [127.0.0.1]:1: Connection reset by peer"
    write_error(tmp_path, 1, RuntimeError(lost), LAUNCH)
    with pytest.raises(ResourceError, match=r"was killed .*; if memory ran out, lower launch"):
        raise_error(tmp_path, "finetune", 1, LOG)


def test_a_bug_shows_its_traceback(tmp_path: Path) -> None:
    try:
        {}["lost"]
    except KeyError as error:
        write_error(tmp_path, 0, error, LAUNCH)
    with pytest.raises(RuntimeError, match=r"(?s)KeyError: 'lost'; see ranks.log.*Traceback"):
        raise_error(tmp_path, "pretrain", 1, LOG)


def test_out_of_memory_names_the_params_to_change(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**56)  # the real thing: more than any machine has
    write_error(tmp_path, 0, caught.value, LAUNCH)
    assert json.loads((tmp_path / "errors" / "rank_0.json").read_text())["kind"] == "memory"
    with pytest.raises(
        ResourceError, match=r"out of memory: .*lower launch.micro_tokens \(now 900"
    ):
        raise_error(tmp_path, "pretrain", 1, LOG)


def test_out_of_memory_names_nothing_that_is_done_already(tmp_path: Path) -> None:
    changes = {"activation_checkpointing": True, "zero_stage": 3, "offload": "parameters"}
    spent = LAUNCH.model_copy(update=changes)
    write_error(tmp_path, 0, torch.OutOfMemoryError("CUDA out of memory."), spent)
    with pytest.raises(ResourceError) as said:
        raise_error(tmp_path, "pretrain", 1, LOG)
    assert str(said.value).endswith(
        "; lower launch.micro_tokens (now 900) or launch.micro_batch (now 16)"
    )


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)),
        SafetensorError("Error while serializing: I/O error: … (os error 28)"),
    ],
)
def test_a_full_disk_names_the_folder_and_what_is_kept(tmp_path: Path, error: Exception) -> None:
    write_error(tmp_path, 0, error, LAUNCH)
    with pytest.raises(ResourceError) as said:
        raise_error(tmp_path, "pretrain", 1, LOG)
    assert str(said.value) == (
        f"{tmp_path}: no room to write (No space left on device); make room there, or lower "
        "launch.keep_checkpoints; the same command goes on from the last whole checkpoint"
    )


def test_a_process_that_died_without_a_word_was_killed(tmp_path: Path) -> None:
    with pytest.raises(ResourceError, match="finetune: a training process was killed"):
        raise_error(tmp_path, "finetune", 1, LOG)


def test_errors_of_an_earlier_run_are_forgotten(tmp_path: Path) -> None:
    write_error(tmp_path, 0, DataError("old"), LAUNCH)
    clear_errors(tmp_path)
    with pytest.raises(ResourceError):
        raise_error(tmp_path, "finetune", 1, LOG)
