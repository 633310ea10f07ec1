"""The shipped bank and the file that later stages read."""

import json
from pathlib import Path

import pytest

from mmicl.augment.bank import SHIPPED, accept, accepted_templates, shipped_bank, write_bank
from mmicl.config import load_config
from mmicl.errors import DataError
from mmicl.mic.templates import TASKS, load_bank
from mmicl.paths import Paths
from mmicl.records import Template
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


def make_context(root: Path) -> StageContext:
    config = load_config(ROOT / "profiles" / "tiny.yaml")
    return StageContext("augment", None, config, Paths(root, root / ".mmicl"), "0")


def test_the_stage_writes_the_shipped_bank_a_line_a_template(tmp_path: Path) -> None:
    context = make_context(tmp_path)
    run(context)
    lines = context.paths.bank.read_text(encoding="utf-8").splitlines()
    ids = [(json.loads(line)["task"], json.loads(line)["id"]) for line in lines]
    assert ids == sorted(ids)
    assert load_bank(context.paths.bank) == shipped_bank()
    assert context.facts == {"templates": 180, "tasks": 18}
    report = json.loads(context.paths.paraphrases.read_text())
    assert (report["asked"], report["waiting"], report["bill"]["dollars"]) == (0, [], 0.0)


def test_without_an_endpoint_the_stage_says_so_in_one_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "mmicl")
    run(make_context(tmp_path))
    (line,) = caplog.messages
    assert line.startswith("180 templates for 18 tasks; augment.base_url is null")


def test_a_template_that_was_added_by_hand_enters_the_bank(tmp_path: Path) -> None:
    context = make_context(tmp_path)
    context.paths.accepted.parent.mkdir(parents=True)
    context.paths.accepted.write_text(
        "templates:\n"
        "- {id: vqa-10, task: vqa, text: '{images} So, {question}', origin: hand, licence: MIT}\n"
    )
    run(context)
    added = {one.id: one for one in load_bank(context.paths.bank)["vqa"]}["vqa-10"]
    assert (added.text, added.licence, added.reviewed) == ("{images} So, {question}", "MIT", True)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("templates: [{id: vqa-10, task: vqa}]", "accepted.yaml: template 1 is not of the form"),
        ("templates: [vqa-10]", "accepted.yaml: template 1 is not of the form"),
        ("vqa-10: {}", "accepted.yaml: not a list of templates"),
        ("templates: [", "accepted.yaml: not a list of templates"),
    ],
)
def test_a_damaged_list_of_accepted_templates_is_named(
    tmp_path: Path, text: str, message: str
) -> None:
    path = tmp_path / "accepted.yaml"
    path.write_text(text)
    with pytest.raises(DataError, match=message):
        accepted_templates(path)


def test_accepting_keeps_comments_and_refuses_what_makes_no_bank(tmp_path: Path) -> None:
    path = tmp_path / "accepted.yaml"
    path.write_text("# Read by hand.\ntemplates: []\n")
    long = (
        "{images} " + "Look at everything in the picture, then say what it is. " * 4 + "{question}"
    )
    values = {"task": "vqa", "origin": "m, prompt 1", "licence": "L", "reviewed": False}
    accept(path, [Template(id="vqa-01-aa", text=long, **values)])
    accept(path, [Template(id="vqa-01-bb", text="{images} Well? {question}", **values)])
    text = path.read_text()
    assert text.startswith("# Read by hand.\n")
    assert [one.id for one in accepted_templates(path)] == ["vqa-01-aa", "vqa-01-bb"]
    assert accepted_templates(path)[0].text == long
    assert accepted_templates(path)[0].reviewed
    with pytest.raises(DataError, match="its id stands twice"):
        accept(path, [Template(id="vqa-01-bb", text="{images} Now? {question}", **values)])
    with pytest.raises(DataError, match=r"slot \{question\} is missing"):
        accept(path, [Template(id="vqa-01-cc", text="{images} Well?", **values)])
    assert path.read_text() == text


def test_a_damaged_bank_is_named(tmp_path: Path) -> None:
    path = tmp_path / "bank.yaml"
    path.write_text(SHIPPED.read_text(encoding="utf-8").replace("{images} {question}", "{images}"))
    with pytest.raises(
        DataError, match=r"bank.yaml: template choice-01: slot \{question\} is missing"
    ):
        shipped_bank(path)
    path.write_text("templates: {}\n")
    with pytest.raises(DataError, match="not an instruction bank"):
        shipped_bank(path)
    with pytest.raises(DataError, match="no templates"):
        write_bank(tmp_path / "none.jsonl", [])
