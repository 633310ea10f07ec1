"""docs/datasets.md says what the readers declare, and every reader declares it."""

from pathlib import Path

import pytest

from mmicl.mic.templates import TASKS
from mmicl.sources import READERS
from mmicl.sources.page import PAGE, write_page

ROOT = Path(__file__).resolve().parents[2]


def test_the_committed_page_is_what_the_readers_declare() -> None:
    written = write_page(READERS.values())
    assert (ROOT / PAGE).read_text(encoding="utf-8") == written, (
        "run python -m mmicl.sources.page and commit docs/datasets.md"
    )


@pytest.mark.parametrize("name", sorted(READERS))
def test_a_reader_declares_what_the_page_needs(name: str) -> None:
    reader = READERS[name]
    page = reader.page
    assert reader.name == name
    assert reader.task in TASKS
    assert reader.files
    assert reader.licence
    assert page.url.startswith("https://")
    assert {use.strip() for use in page.use.split(",")} <= {"stage I", "train", "test"}
    assert all((page.title, page.category, page.records, page.makes))
    assert not page.makes.endswith(".")
    assert len(set(reader.roles.values())) == len(reader.roles)


@pytest.mark.parametrize("task", ["pope", "mme", "scienceqa", "winoground", "raven", "vcr"])
def test_a_task_worded_for_one_dataset_is_borrowed_by_no_other(task: str) -> None:
    kin = {"vcr": ["vcr_rationale"], "scienceqa": ["scienceqa_all"]}  # of the same dataset
    own = [task, *kin.get(task, [])]
    assert [name for name, reader in READERS.items() if reader.task == task] == own
