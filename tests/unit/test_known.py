"""Names in params are looked up before anything runs."""

from pathlib import Path
from typing import Any

import pytest

from mmicl.config import check_config, read_params
from mmicl.errors import UserError
from mmicl.known import check_names

FOLDER = Path(__file__).resolve().parents[2] / "profiles"
PROFILES, TINY = sorted(FOLDER.glob("*.yaml")), FOLDER / "tiny.yaml"


@pytest.mark.parametrize("profile", PROFILES, ids=lambda path: path.stem)
def test_every_profile_names_what_there_is(profile: Path) -> None:
    check_names(check_config(read_params(profile), profile.name))


@pytest.mark.parametrize(
    ("section", "changes", "message"),
    [
        ("register", {"margins": {"vqav2.accurate": 5.0}},
         r"register\.margins\.vqav2\.accurate: vqav2 has no score accurate; it has accuracy, "),
        ("register", {"margins": {"vqa.accuracy": 5.0}},
         r"register\.margins\.vqa\.accuracy: no benchmark is called vqa; there are "),
        ("evaluate", {"benchmarks": {"vrc": {"dataset": "vcr", "limit": 9, "shots": 0}}},
         r"evaluate\.benchmarks\.vrc: no benchmark is called vrc; there are "),
        ("evaluate", {"benchmarks": {"vcr": {"dataset": "nlvr2", "limit": 9, "shots": 0}}},
         r"evaluate\.benchmarks\.vcr\.dataset: nlvr2 has examples of task nlvr, but vcr asks "
         r"those of task vcr; name one of vcr$"),
    ],
)  # fmt: skip
def test_a_name_of_nothing_is_refused(section: str, changes: dict[str, Any], message: str) -> None:
    params = read_params(TINY)
    params[section] |= changes
    with pytest.raises(UserError, match=message):
        check_names(check_config(params, "params.yaml"))


def test_a_reader_of_no_dataset_is_refused() -> None:
    params = read_params(TINY)
    params["datasets"]["nlvr2"]["reader"] = "nlvr"
    with pytest.raises(UserError, match=r"nlvr2\.reader: no reader named nlvr; there are"):
        check_names(check_config(params, "params.yaml"))


def test_a_margin_of_a_benchmark_that_is_not_asked_now_is_no_error() -> None:
    params = read_params(TINY)
    params["evaluate"]["benchmarks"] = {"vcr": params["evaluate"]["benchmarks"]["vcr"]}
    check_names(check_config(params, "params.yaml"))
