"""The data gate with the real Great Expectations, over planted faults."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from planted_faults import (
    BANK_FAULTS,
    EXAMPLE_FAULTS,
    SAMPLE_FAULTS,
    WHOLE_FAULTS,
    Rows,
    change,
    edit,
    edit_lines,
    name_copy,
)

from mmicl.augment.bank import shipped_bank
from mmicl.config import Config
from mmicl.errors import DataError
from mmicl.files import hash_file, read_json, read_rows
from mmicl.mic.builder import build
from mmicl.mic.recipe import Recipe
from mmicl.paths import Paths
from mmicl.quality import validate
from mmicl.quality.gate import check_and_document
from mmicl.quality.rules import list_rules
from mmicl.records import Example
from mmicl.stages import StageContext
from mmicl.stages.validate import TABLES, run


def test_sound_data_pass_and_the_report_is_equal_each_time(paths: Paths, config: Config) -> None:
    context = StageContext("validate", None, config, paths, "0")
    run(context)
    report = read_json(paths.validation)
    assert (report["failed_critical"], report["failed_warning"]) == (0, 0)
    assert report["expectations"] == len(report["results"]) == len(list_rules(config)) < 50
    assert (report["examples"], report["samples"], report["templates"]) == (140, 85, 180)
    assert len({one["name"] for one in report["results"]}) == report["expectations"]
    first = paths.validation.read_bytes()
    run(context)
    assert paths.validation.read_bytes() == first
    assert not re.search(rb"20\d\d-|/tmp|checkout", first)
    assert context.facts["samples"] == 85


def test_each_training_is_told_of_its_own_tables(paths: Paths, config: Config) -> None:
    context = StageContext("validate", None, config, paths, "0")
    run(context)
    first = [read_json(paths.passed(stage)) for stage in ("pretrain", "finetune")]
    assert [list(told) for told in first] == [["pretrain", "pretrain_val"], ["finetune", "val"]]
    edit(paths.mic / "val.parquet", lambda rows: rows.pop())
    run(context)
    assert read_json(paths.passed("pretrain")) == first[0]
    then, now = first[1], read_json(paths.passed("finetune"))
    assert then["finetune"] == now["finetune"]
    assert then["val"] != now["val"] == hash_file(paths.mic / "val.parquet")


def check_faults(
    paths: Paths, config: Config, file: Path, faults: dict[str, Callable[[Rows], str]]
) -> None:
    """Plant each fault in a row of its own, and find that very row under the fault's rule."""
    planted: dict[str, str] = {}
    change_rows = edit_lines if file.suffix == ".jsonl" else edit
    change_rows(
        file, lambda rows: planted.update({rule: plant(rows) for rule, plant in faults.items()})
    )
    outcomes = {one["name"]: one for one in check_and_document(paths, config)["results"]}
    for rule, row in planted.items():
        assert not outcomes[rule]["success"], rule
        assert not row or row in outcomes[rule]["ids"], rule


def test_each_fault_of_a_sample_is_found(paths: Paths, config: Config) -> None:
    check_faults(paths, config, paths.mic / "finetune.parquet", SAMPLE_FAULTS)


def test_each_fault_of_an_example_is_found(paths: Paths, config: Config) -> None:
    check_faults(paths, config, paths.examples("vqav2") / "examples.parquet", EXAMPLE_FAULTS)


def test_each_fault_of_a_template_is_found(paths: Paths, config: Config) -> None:
    check_faults(paths, config, paths.bank, BANK_FAULTS)


@pytest.mark.parametrize("rule", WHOLE_FAULTS)
def test_each_fault_of_a_table_is_found(rule: str, paths: Paths, config: Config) -> None:
    file, plant, row = WHOLE_FAULTS[rule]
    edit(paths.root / f"{file}.parquet", plant)
    outcomes = {one["name"]: one for one in check_and_document(paths, config)["results"]}
    assert not outcomes[rule]["success"]
    assert outcomes[rule]["ids"][0].startswith(row)


def find_failing(paths: Paths, config: Config, rule: str) -> list[str]:
    outcomes = {one["name"]: one for one in check_and_document(paths, config)["results"]}
    return outcomes[rule]["ids"]


def test_pictures_alike_are_found_in_val_and_among_worked_examples(
    paths: Paths, config: Config
) -> None:
    """Of val and test against training and its exemplars; of test against the part val too."""
    rule = "no held-out picture looks like one that a sample is made of"
    samples = pq.read_table(paths.mic / "finetune.parquet").to_pylist()
    trained = {row["source"] for part in ("pretrain", "finetune")
               for row in pq.read_table(paths.mic / f"{part}.parquet").to_pylist()}  # fmt: skip
    val = pq.read_table(paths.mic / "val.parquet").to_pylist()
    row, exemplar = next(
        (row, place) for row in samples for place, one in enumerate(row["exemplars"])
        if one not in trained
    )  # fmt: skip
    asked, other, *_ = val
    first, second, *_ = (
        name
        for n in range(10)
        if (name := f"vqav2/val/{n:03d}") not in {one["source"] for one in val}
    )
    planted = {
        first: row["images"][exemplar],
        "vqav2/test/000": asked["images"][-1],
        second: other["images"][-1],  # the part val's own picture, which val may of course show
    }

    def plant(rows: Rows) -> None:
        for one in rows:
            if one["id"] in planted:
                one["images"] = [name_copy(planted[one["id"]])]

    edit(paths.examples("vqav2") / "examples.parquet", plant)
    assert find_failing(paths, config, rule) == ["vqav2/test/000", first]


def test_a_worked_example_may_not_show_what_another_dataset_holds_out(
    paths: Paths, config: Config
) -> None:
    rule = "no sample or exemplar shows a picture held out by any dataset"
    samples = pq.read_table(paths.mic / "val.parquet").to_pylist()
    row = next(row for row in samples if row["exemplars"])
    shown = {one["id"]: one["images"] for one in
             pq.read_table(paths.examples("vqav2") / "examples.parquet").to_pylist()}  # fmt: skip
    picture = shown[row["exemplars"][0]]
    edit(
        paths.examples("coco") / "examples.parquet",
        lambda rows: next(one for one in rows if one["split"] == "test").update(images=picture),
    )
    assert row["id"] in find_failing(paths, config, rule)


def test_every_rule_has_a_planted_fault(config: Config) -> None:
    planted = {*SAMPLE_FAULTS, *EXAMPLE_FAULTS, *BANK_FAULTS, *WHOLE_FAULTS, *WARNINGS}
    assert {rule.name for rule in list_rules(config)} == planted


def test_tags_are_asked_of_a_scheme_that_has_them(paths: Paths, config: Config) -> None:
    scheme = config.build.scheme.model_copy(update={"tags": True})
    tagged = config.model_copy(update={"build": config.build.model_copy(update={"scheme": scheme})})
    rule = "each placeholder stands between its tags"

    def place(rows: Rows) -> None:
        for row in rows:
            row["prompt"] = row["prompt"].replace("图", "[image]图[/image]")

    def find_wrong() -> list[str]:
        outcomes = {one["name"]: one for one in check_and_document(paths, tagged)["results"]}
        return outcomes[rule]["ids"]

    assert len(find_wrong()) > 0
    for part in ("pretrain", "finetune", "val"):
        edit(paths.mic / f"{part}.parquet", place)
    assert find_wrong() == []
    edit(
        paths.mic / "val.parquet",
        lambda rows: change(rows[0], prompt="[image]" + rows[0]["prompt"]),
    )
    assert len(find_wrong()) == 1


def test_pairs_that_stage_one_validates_with_pass_the_gate_too(
    paths: Paths, config: Config, tmp_path: Path
) -> None:
    def open_examples(name: str) -> list[Example]:
        return read_rows(paths.examples(name) / "examples.parquet", Example)

    validation = config.finetune.validation
    pretrain = config.pretrain.model_copy(update={"validation": validation})
    validating = config.model_copy(update={"pretrain": pretrain})
    recipe = Recipe(shipped_bank(), config.build, config.seed, pairs_held_out=True)
    samples = check_and_document(paths, config)["samples"]
    build(paths.mic, open_examples, recipe)
    report = check_and_document(paths, validating)
    assert report["samples"] == samples + 5
    assert all(one["success"] for one in report["results"] if one["level"] == "critical")
    edit(paths.mic / "pretrain_val.parquet", lambda rows: change(rows[0], split="train"))
    outcomes = {one["name"]: one for one in check_and_document(paths, validating)["results"]}
    (found,) = outcomes["samples come from the split of their part"]["ids"]
    assert found.startswith("pretrain_val/coco/val/")
    (paths.mic / "pretrain_val.parquet").unlink()
    with pytest.raises(DataError, match=r"pretrain_val.parquet: no such file"):
        check_and_document(paths, validating)


def test_a_share_as_a_quota_is_filled_by_what_there_is(paths: Paths, config: Config) -> None:
    quotas = {"finetune": {"vqav2": 0.5}, "pretrain": {"coco": 0.1}}
    config = config.model_copy(update={"build": config.build.model_copy(update=quotas)})
    outcomes = {one["name"]: one for one in check_and_document(paths, config)["results"]}
    assert outcomes["datasets fill their quotas"]["success"]


def test_a_failed_gate_leaves_docs_and_no_report(paths: Paths, config: Config) -> None:
    edit(paths.mic / "finetune.parquet", lambda rows: [row.update(target=" ") for row in rows[:2]])
    ids = [row["id"] for row in pq.read_table(paths.mic / "finetune.parquet").to_pylist()[:2]]
    with pytest.raises(DataError) as caught:
        run(StageContext("validate", None, config, paths, "0"))
    assert str(caught.value).startswith(
        'data gate: 2 of 85 rows of samples fail "samples have a target", '
        f"such as {ids[0]} ( ); all outcomes are in"
    ), str(caught.value)
    assert not any(path.exists() for path in (paths.validation, *map(paths.passed, TABLES)))
    assert "samples have a target" in (paths.data_docs / "index.html").read_text(encoding="utf-8")


WARNINGS = {
    "examples can become prompts",
    "no sample or exemplar shows a picture held out by any dataset",
    "no answer makes up too much of a dataset's samples",
    "datasets fill their quotas",
}


def test_warnings_are_listed_and_let_pass(paths: Paths, config: Config) -> None:
    quotas = {"coco": 30, "vqav2": 60}
    config = config.model_copy(
        update={"build": config.build.model_copy(update={"finetune": quotas})}
    )

    def show_test_picture(rows: Rows) -> None:
        picture = next(row["images"] for row in rows if row["split"] == "test")
        other = pq.read_table(paths.examples("vqav2") / "examples.parquet").to_pylist()
        trained = pq.read_table(paths.mic / "finetune.parquet").to_pylist()[0]["source"]
        picture[:] = next(row["images"] for row in other if row["id"] == trained)

    def write_placeholder(rows: Rows) -> None:
        show_test_picture(rows)
        rows[0]["question"] = "图"

    edit(paths.examples("coco") / "examples.parquet", write_placeholder)
    report = validate(paths, config)
    failed = {one["name"]: one for one in report["results"] if not one["success"]}
    assert set(failed) == WARNINGS
    assert (report["failed_critical"], report["failed_warning"]) == (0, 4)
    assert failed["datasets fill their quotas"]["ids"] == ["finetune/coco", "finetune/vqav2"]
    assert failed["examples can become prompts"]["ids"] == ["coco/train/000"]


def test_failing_templates_are_shown_with_their_texts(paths: Paths, config: Config) -> None:
    edit_lines(
        paths.bank,
        lambda rows: (change(rows[3], text="no <b>slot</b> at all"), change(rows[4], text=7)),
    )
    check_and_document(paths, config)
    text = (paths.data_docs / "index.html").read_text(encoding="utf-8")
    (row, other) = map(json.loads, paths.bank.read_text(encoding="utf-8").splitlines()[3:5])
    told = f"{row['task']}: <b>no &lt;b&gt;slot&lt;/b&gt; at all</b>"
    assert f"<code>{row['id']}</code><div>{told}</div>" in text
    assert f"<code>{other['id']}</code><div>{other['task']}: <b>7</b></div>" in text


def test_a_missing_table_is_named(paths: Paths, config: Config) -> None:
    (paths.examples("coco") / "examples.parquet").unlink()
    with pytest.raises(DataError, match=r"examples.parquet: no such file"):
        validate(paths, config)
    assert not paths.data_docs.exists()


def test_data_docs_are_pages_that_need_no_net(paths: Paths, config: Config) -> None:
    validate(paths, config)
    index = paths.data_docs / "index.html"
    links = re.findall(r'href="([^"]+)"', index.read_text(encoding="utf-8"))
    assert len(links) == 7
    assert all((index.parent / link).is_file() for link in links)
    assert "http" not in index.read_text(encoding="utf-8")
    edit(paths.mic / "val.parquet", lambda rows: rows[0].update(target=""))
    with pytest.raises(DataError, match="data gate"):
        validate(paths, config)
    text = index.read_text(encoding="utf-8")
    assert '<td class="critical">critical</td><td>1 of 85' in text
    assert list((paths.data_docs / "validations" / "samples").rglob("*.html"))
    assert [path.name for path in paths.state.iterdir()] == ["data_docs"]
