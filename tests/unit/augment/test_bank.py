"""The shipped bank and the file that later stages read."""

import json
from pathlib import Path

import pytest

from mmicl.augment.bank import SHIPPED, shipped_bank, write_bank
from mmicl.config import load_config
from mmicl.errors import DataError, UserError
from mmicl.mic.templates import TASKS, load_bank
from mmicl.paths import Paths
from mmicl.stages import StageContext
from mmicl.stages.augment import run

ROOT = Path(__file__).resolve().parents[3]


def test_the_shipped_bank_has_ten_templates_in_both_forms_for_each_task() -> None:
    bank = shipped_bank()
    assert {task: len(templates) for task, templates in bank.items()} == dict.fromkeys(TASKS, 10)
    for templates in bank.values():
        forms = {"{images:inline}" in template.text for template in templates}
        assert forms == {True, False}
        assert all(template.reviewed and template.licence for template in templates)


def make_context(root: Path, endpoint: str | None) -> StageContext:
    config = load_config(ROOT / "profiles" / "tiny.yaml")
    augment = config.augment.model_copy(update={"endpoint": endpoint})
    config = config.model_copy(update={"augment": augment})
    return StageContext("augment", None, config, Paths(root, root / ".mmicl"), "0")


def test_the_stage_writes_the_shipped_bank_a_line_a_template(tmp_path: Path) -> None:
    context = make_context(tmp_path, None)
    run(context)
    lines = context.paths.bank.read_text(encoding="utf-8").splitlines()
    ids = [(json.loads(line)["task"], json.loads(line)["id"]) for line in lines]
    assert ids == sorted(ids)
    assert load_bank(context.paths.bank) == shipped_bank()
    assert context.facts == {"templates": 130, "tasks": 13}


def test_an_endpoint_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    context = make_context(tmp_path, "http://127.0.0.1:1/v1")
    with pytest.raises(UserError, match=r"set augment\.endpoint to null"):
        run(context)
    assert not context.paths.bank.exists()


def test_a_damaged_bank_is_named(tmp_path: Path) -> None:
    path = tmp_path / "bank.yaml"
    path.write_text(SHIPPED.read_text(encoding="utf-8").replace("{images} {question}", "{images}"))
    with pytest.raises(
        DataError, match=r"bank.yaml: template episode-01: slot \{question\} is missing"
    ):
        shipped_bank(path)
    path.write_text("templates: {}\n")
    with pytest.raises(DataError, match="not an instruction bank"):
        shipped_bank(path)
    with pytest.raises(DataError, match="no templates"):
        write_bank(tmp_path / "none.jsonl", [])
