"""Quotas, draws, and what the builder leaves out."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mic_examples import make_example, picture

from mmicl.augment.bank import shipped_bank
from mmicl.config import Build, Quota
from mmicl.errors import DataError
from mmicl.files import hash_file, make_table, open_rows, read_json, read_rows, write_rows
from mmicl.mic import builder
from mmicl.mic.builder import build
from mmicl.mic.exemplars import ExemplarPool
from mmicl.mic.queries import expand
from mmicl.mic.recipe import Bank, HeldOut, Recipe
from mmicl.mic.scheme import FULL_SCHEME
from mmicl.mic.selection import find_held_out
from mmicl.processes import stream_in_processes
from mmicl.records import Example, Sample

BANK = shipped_bank()
EXAMPLES: dict[str, list[Example]] = {
    task: [make_example(task, number, "train") for number in range(30)]
    + [make_example(task, number, "val") for number in range(10)]
    + [make_example(task, number, "test") for number in range(10)]
    for task in ("caption", "vqa", "nlvr", "vcr", "raven")
}
CONFIG = Build(
    pretrain={"caption": 20}, finetune={"caption": 10, "vqa": 25, "nlvr": 12, "vcr": 8, "raven": 9},
    held_out=[], validation=6, max_images=12, max_tokens=None, max_exemplars=3, scheme=FULL_SCHEME,
)  # fmt: skip


def change(**values: object) -> Build:
    return CONFIG.model_copy(update=values)


@dataclass(frozen=True)
class Built:
    """What the builder wrote."""

    samples: dict[str, list[Sample]]
    manifest: dict[str, Any]


def build_all(
    config: Build = CONFIG,
    seed: int = 5,
    examples: Mapping[str, list[Example]] = EXAMPLES,
    held_out: HeldOut | None = None,
    bank: Bank = BANK,
    pairs_held_out: bool = False,
) -> Built:
    recipe = Recipe(bank, config, seed, held_out or {}, count=len, pairs_held_out=pairs_held_out)
    with TemporaryDirectory() as folder:
        mic = Path(folder) / "mic"
        manifest = build(mic, examples.__getitem__, recipe)
        assert read_json(mic / "manifest.json") == manifest
        assert sorted(path.stem for path in mic.glob("*.parquet")) == sorted(manifest["parts"])
        samples = {part: read_rows(mic / f"{part}.parquet", Sample) for part in manifest["parts"]}
        return Built(samples, manifest)


def test_a_quota_may_be_a_share_of_what_a_dataset_gives() -> None:
    built = build_all(change(finetune={"vqa": 0.1, "raven": 0.01, "nlvr": 0.01}, pretrain={}))
    told = built.manifest["parts"]["finetune"]["datasets"]
    assert {name: one["quota"] for name, one in told.items()} == {"vqa": 3, "raven": 2, "nlvr": 1}
    taken = Counter(sample.dataset for sample in built.samples["finetune"])
    assert taken == {"vqa": 3, "raven": 2, "nlvr": 1}


def test_quotas_are_filled_and_accounted_for() -> None:
    built = build_all()
    taken = Counter(sample.dataset for sample in built.samples["finetune"])
    assert taken == {"caption": 10, "vqa": 25, "nlvr": 12, "vcr": 8, "raven": 8}
    assert len(built.samples["pretrain"]) == 20
    counts = built.manifest["parts"]["finetune"]["datasets"]["raven"]
    assert counts == {
        "quota": 9, "candidates": 30, "dropped": {}, "not_drawn": 26, "taken": 4, "samples": 8,
    }  # fmt: skip
    for part, rows in built.samples.items():
        assert [row.id for row in rows] == sorted({row.id for row in rows})
        assert built.manifest["parts"][part]["samples"] == len(rows)
        assert {row.split for row in rows} <= ({"val"} if part == "val" else {"train"})


def test_pairs_are_held_out_where_stage_one_validates_and_change_no_other_part() -> None:
    plain, built = build_all(), build_all(pairs_held_out=True)
    assert plain.samples.pop("pretrain_val") == []
    pairs = built.samples.pop("pretrain_val")
    assert built.samples == plain.samples
    assert len(pairs) == 6
    assert {(row.split, row.task, row.exemplars) for row in pairs} == {("val", "caption", ())}
    assert all(row.id.startswith("pretrain_val/") for row in pairs)
    # a dataset without a validation split has none to give, which is no error
    trained = {
        name: [row for row in rows if row.split == "train"] for name, rows in EXAMPLES.items()
    }
    assert build_all(pairs_held_out=True, examples=trained).samples["pretrain_val"] == []


def test_exemplars_come_from_training_and_leak_nothing() -> None:
    built = build_all()
    by_id = {example.id: example for rows in EXAMPLES.values() for example in rows}
    numbers = Counter()
    for part in ("finetune", "val"):
        for sample in built.samples[part]:
            query = by_id[sample.source]
            for one in sample.exemplars:
                exemplar = by_id[one]
                assert exemplar.split == "train"
                assert exemplar.dataset == query.dataset
                assert exemplar.group != query.group
                assert not set(exemplar.images) & set(query.images)
            assert len(set(sample.exemplars)) == len(sample.exemplars)
            numbers[sample.task, len(sample.exemplars)] += 1
    assert not any(count and task in ("vcr", "raven") for task, count in numbers)
    assert {count for task, count in numbers if task == "vqa"} == {0, 1, 2, 3}
    assert all(sample.exemplars == () for sample in built.samples["pretrain"])


def test_the_templates_of_other_tasks_change_no_sample() -> None:
    asked = {row.task for rows in EXAMPLES.values() for row in rows}
    alone = build_all(bank={task: BANK[task] for task in asked})
    assert len(BANK) > len(asked)
    assert alone == build_all()


def test_puzzles_give_one_sample_of_each_answer() -> None:
    rows = [row for row in build_all().samples["finetune"] if row.task == "raven"]
    answers = Counter((row.source, row.target) for row in rows)
    assert len(rows) == 8
    assert {answer for _, answer in answers} == {"yes", "no"}
    assert set(answers.values()) == {1}


def test_pool_never_offers_the_query_its_group_or_its_pictures() -> None:
    shared = picture("shared")
    rows = [make_example("vqa", n, group="same", images=(picture(n),)) for n in range(3)]
    rows += [make_example("vqa", n, images=(f"{shared}@0,0,{n},9",)) for n in range(3, 6)]
    rows += [make_example("vqa", 6)]
    pool = ExemplarPool(rows)
    assert len(pool) == 7
    for row in rows[:3]:
        chosen = {one.source for one in pool.choose(expand(row)[0], 7, seed=1)}
        assert not chosen & {one.id for one in rows[:3]}
        assert len(chosen) == 4
    for row in rows[3:6]:
        chosen = [one.source for one in pool.choose(expand(row)[0], 7, seed=1)]
        assert not set(chosen) & {one.id for one in rows[3:6]}
        assert len(chosen) == 2  # one of the three that share a group, and the last


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 3), order=st.randoms(use_true_random=False))
def test_order_of_input_and_other_datasets_change_nothing(seed: int, order: Random) -> None:
    whole = build_all(seed=seed)
    shuffled = {name: order.sample(rows, len(rows)) for name, rows in EXAMPLES.items()}
    assert build_all(seed=seed, examples=dict(reversed(shuffled.items()))) == whole
    alone = build_all(change(pretrain={}, finetune={"vqa": 25}), seed)
    for part in ("finetune", "val"):
        assert alone.samples[part] == [row for row in whole.samples[part] if row.dataset == "vqa"]


def test_another_seed_draws_otherwise() -> None:
    assert build_all(seed=1).samples["finetune"] != build_all(seed=2).samples["finetune"]


def open_stored(folder: Path, order: Random) -> Callable[[str], Sequence[Example]]:
    """The Examples as the stage gives them: tables on disk, a row made when it is looked at.

    The files come in any order, and so do the rows within.
    """
    for name in order.sample(sorted(EXAMPLES), len(EXAMPLES)):
        rows = order.sample(EXAMPLES[name], len(EXAMPLES[name]))
        write_rows(folder / f"{name}.parquet", rows, Example)
    return lambda name: open_rows(folder / f"{name}.parquet", Example)


def reorder(quotas: Mapping[str, Quota], order: Random) -> dict[str, Quota]:
    return {name: quotas[name] for name in order.sample(sorted(quotas), len(quotas))}


@settings(max_examples=3, deadline=None)
@given(order=st.randoms(use_true_random=False), seed=st.integers(0, 9))
def test_any_order_of_files_and_any_number_of_processes_give_equal_bytes(
    order: Random, seed: int
) -> None:
    """1 and 8 processes, tables and rows and quotas in any order: the same bytes."""
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as monkeypatch:
        _compare_bytes(Path(folder), order, seed, monkeypatch)


def _compare_bytes(
    tmp_path: Path, order: Random, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(tmp_path / "one", EXAMPLES.__getitem__, Recipe(BANK, CONFIG, seed))
    files = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert files == ["finetune.parquet", "manifest.json", "pretrain.parquet",
                     "pretrain_val.parquet", "val.parquet"]  # fmt: skip
    monkeypatch.setattr(builder, "ROWS_A_TASK", 7)
    seen = []

    def share(work: Any, items: Any, processes: int) -> Any:
        seen.append((len(items), processes))
        return stream_in_processes(work, items, processes, ahead=2 * processes)

    for processes in (1, 8):
        folder = tmp_path / f"{processes}"
        config = change(finetune=reorder(CONFIG.finetune, order))
        recipe = Recipe(BANK, config, seed, share=partial(share, processes=processes))
        build(folder, open_stored(tmp_path / f"examples-{processes}", order), recipe)
        assert [hash_file(folder / name) for name in files] == [
            hash_file(tmp_path / "one" / name) for name in files
        ]
    assert (8, 8) in seen  # 50 Examples in eight works, each in a process of its own


def test_a_dataset_without_usable_examples_leaves_the_old_samples(tmp_path: Path) -> None:
    build(tmp_path / "mic", EXAMPLES.__getitem__, Recipe(BANK, CONFIG, 5))
    before = hash_file(tmp_path / "mic" / "finetune.parquet")
    with pytest.raises(DataError, match="raven: finetune asks for 9 samples"):
        build(tmp_path / "mic", EXAMPLES.__getitem__, Recipe(BANK, change(max_images=2), 5))
    assert hash_file(tmp_path / "mic" / "finetune.parquet") == before
    assert [path.name for path in tmp_path.iterdir()] == ["mic"]


def test_images_over_the_budget_drop_exemplars_first_then_the_sample() -> None:
    tight = build_all(change(max_images=3, finetune={"nlvr": 12, "vcr": 8}))
    assert max(len(row.images) for row in tight.samples["finetune"]) == 3
    nlvr = [row for row in tight.samples["finetune"] if row.task == "nlvr"]
    assert len(nlvr) == 12
    assert not any(row.exemplars for row in nlvr)
    with pytest.raises(DataError, match="raven: finetune asks for 9 samples, but none of its 30"):
        build_all(change(max_images=2, finetune={"raven": 9}))
    rows = [*EXAMPLES["vcr"], make_example("vcr", 99, images=tuple(map(picture, range(13))),
                                           meta="{}")]  # fmt: skip
    built = build_all(change(pretrain={}, finetune={"vcr": 99}), examples={"vcr": rows})
    counts = built.manifest["parts"]["finetune"]["datasets"]["vcr"]
    assert counts["dropped"] == {"more images than max_images": 1}
    assert (counts["candidates"], counts["taken"], counts["not_drawn"]) == (31, 30, 0)


def test_tokens_over_the_budget_drop_exemplars_first_then_the_sample() -> None:
    whole = build_all(change(finetune={"vqa": 25}, pretrain={})).samples["finetune"]
    room = max(len(row.prompt.rpartition("\n")[2]) for row in whole)
    tight = build_all(
        change(finetune={"vqa": 99}, pretrain={}, max_tokens=room),
        examples={"vqa": [*EXAMPLES["vqa"], make_example("vqa", 99, question="word " * 60)]},
    )
    counts = tight.manifest["parts"]["finetune"]["datasets"]["vqa"]
    assert counts["dropped"] == {"more tokens than max_tokens": 1}
    assert (counts["candidates"], counts["taken"]) == (31, 30)
    built = {row.id: row for row in tight.samples["finetune"]}
    for before in whole:
        after = built[before.id]
        kept = len(after.exemplars)
        assert len(after.prompt) <= room
        assert after.template == before.template
        assert after.exemplars == before.exemplars[:kept]
        assert after.images == (*before.images[:kept], before.images[-1])
    assert any(row.exemplars for row in whole)
    assert not all(built[row.id].exemplars == row.exemplars for row in whole)


@pytest.mark.parametrize("switch", ["declaration", "in_context", "interrelated"])
def test_each_switch_reaches_the_samples(switch: str) -> None:
    full, without = (
        build_all(),
        build_all(change(scheme=FULL_SCHEME.model_copy(update={switch: False}))),
    )
    samples = without.samples["finetune"]
    assert [row.source for row in samples] == [row.source for row in full.samples["finetune"]]
    effects = {
        "declaration": any("<image0>" in row.prompt for row in samples),
        "in_context": any(row.exemplars for row in samples),
        "interrelated": any(len(row.images) > 1 + len(row.exemplars) for row in samples),
    }
    assert effects == {name: name != switch for name in effects}


def test_no_sample_shows_a_picture_that_another_dataset_is_tested_with() -> None:
    train = [row for row in EXAMPLES["vqa"] if row.split == "train"]
    photo = train[0].images[0]
    tested = make_example("pope", 0, "test").model_copy(update={"images": (photo,)})
    matrix = make_example("raven", 0, "test").model_copy(update={"images": train[1].images})
    held_out = find_held_out([make_table([tested, matrix], Example), make_table(train, Example)])
    assert held_out == {"train": {photo}, "val": {photo}}
    asked = train[2].model_copy(update={"split": "val"})
    held_out = find_held_out([make_table([tested, matrix, asked, *train], Example)])
    assert held_out == {"train": {photo, *asked.images}, "val": {photo}}
    built = build_all(held_out=held_out)
    assert photo in {image for row in build_all().samples["finetune"] for image in row.images}
    shown = {image for row in built.samples["finetune"] for image in row.images}
    assert not shown & {photo, *asked.images}
    counts = built.manifest["parts"]["finetune"]["datasets"]["vqa"]
    assert counts["dropped"]["picture_held_out"] >= 1
    assert (
        counts["candidates"]
        == sum(counts["dropped"].values()) + counts["not_drawn"] + counts["taken"]
    )
