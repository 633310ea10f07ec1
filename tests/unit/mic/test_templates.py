"""What a template must be."""

from pathlib import Path

import pytest

from mmicl.errors import DataError
from mmicl.mic.templates import check_bank, find_faults, load_bank, pick_template
from mmicl.records import Template


def make(text: str, task: str = "vqa", id_: str = "t") -> Template:
    return Template(
        id=id_, task=task, text=text, origin="test", licence="Apache-2.0", reviewed=True
    )


@pytest.mark.parametrize("text", ["{images} {question}", "{question} of {images:inline}"])
def test_a_sound_template_has_no_faults(text: str) -> None:
    assert find_faults(make(text)) == []


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("{images} what?", "slot {question} is missing"),
        ("{images} {question} {question}", "slot {question} stands 2 times"),
        ("{images} {question} {choices}", "unknown slot {choices}"),
        ("{images} {question} {0}", "unknown slot {0}"),
        ("{images:table} {question}", "unknown form {images:table}"),
        ("{images} {question", "braces do not match"),
        ("{images} {question!r}", "braces do not match"),
        ("{images} 图 {question}", "placeholder or proxy"),
        ("{images} <image3> {question}", "placeholder or proxy"),
        ("{images} of image 0: {question}", "a literal image number"),
        ("{images}\n{question}", "control character"),
        ("{images} \u202e{question}", "control character"),
        ("{images} {question} ", "blanks at an end"),
        ("{images} {question} " + "so " * 100 + "so", "characters, more than 300"),
    ],
)
def test_each_fault_is_found(text: str, fault: str) -> None:
    assert any(fault in found for found in find_faults(make(text)))


def test_ids_and_texts_are_unique() -> None:
    one, other = make("{images} {question}"), make("{images} {question} ?")
    with pytest.raises(DataError, match="its id stands twice"):
        check_bank([one, other], "bank")
    with pytest.raises(DataError, match="the same text as t"):
        check_bank([one, one.model_copy(update={"id": "u"})], "bank")
    assert check_bank([other.model_copy(update={"id": "a"}), one], "bank")["vqa"][0].id == "a"


def test_a_faulty_line_of_the_bank_is_named(tmp_path: Path) -> None:
    path = tmp_path / "instructions.jsonl"
    with pytest.raises(DataError, match="no such file; run the stage augment"):
        load_bank(path)
    path.write_text(make("{images} {question}").model_dump_json() + '\n{"id": "u"}\n')
    with pytest.raises(DataError, match=r"instructions.jsonl line 2: not a template \(task"):
        load_bank(path)
    path.write_text("")
    with pytest.raises(DataError, match="no templates"):
        load_bank(path)


def test_a_template_is_drawn_by_seed_and_name_over_all() -> None:
    bank = {"vqa": [make(f"{{images}} {{question}} {k}", id_=str(k)) for k in range(5)]}
    names = [f"vqa/train/{k}" for k in range(200)]
    first = [pick_template(bank, "vqa", 7, name).id for name in names]
    assert first == [pick_template(bank, "vqa", 7, name).id for name in names]
    assert first != [pick_template(bank, "vqa", 8, name).id for name in names]
    assert set(first) == set("01234")
    with pytest.raises(DataError, match="no template for task nlvr"):
        pick_template(bank, "nlvr", 7, "x")
