"""Training the miniature backbone: runs that go on, and the command that writes one."""

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from mmicl.augment.bank import shipped_bank, write_bank
from mmicl.errors import DataError
from mmicl.model.loading import load_model
from mmicl.model.tiny import build_config, build_model
from mmicl.records import Template
from mmicl.train.tiny.__main__ import main
from mmicl.train.tiny.language import Reader, ReadingBatch
from mmicl.train.tiny.loop import load_batches, train
from mmicl.train.tiny.reading import ReadingTask
from mmicl.train.tiny.vision import (
    FEATURE_SCALE,
)

BANK: dict[str, list[Template]] = shipped_bank()


def make_batches(workers: int) -> list[ReadingBatch]:
    """The batches of steps 4 to 7, made ahead by so many processes."""
    reader = Reader(*load_model("builtin:tiny"))
    task = ReadingTask(reader, BANK, seed=1, steps=10, batch_size=8)
    return list(load_batches(task, 4, 8, workers))


def test_batches_made_ahead_by_processes_are_the_same_and_in_order() -> None:
    # In a process of its own, as the trainer is: forked beside the threads that other tests have
    # left in this one, a worker may end with code 1.
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as fresh:
        alone, ahead = fresh.map(make_batches, (0, 2))
    assert len(alone) == len(ahead) == 4
    for here, there in zip(alone, ahead, strict=True):
        assert here.ids.tolist() == there.ids.tolist()
        assert here.lengths == there.lengths
        for name, rows in here.labels.items():
            assert rows.tolist() == there.labels[name].tolist()


@pytest.fixture
def one_thread() -> Iterator[None]:
    """As the trainer sets it: on two, sums of gradients round differently from run to run."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.usefixtures("one_thread")
def test_a_killed_run_goes_on_to_the_same_weights(tmp_path: Path) -> None:
    def run(name: str, stops: tuple[int, ...]) -> dict[str, torch.Tensor]:
        state: dict[str, torch.Tensor] = {}
        for stop in stops:
            model, processor = load_model("builtin:tiny")
            torch.manual_seed(0)  # the classifiers at the slots are drawn
            reader = Reader(model, processor)

            class Stopped(ReadingTask):
                def loss(self, step: int, batch: ReadingBatch, stop: int = stop):
                    if step == stop:
                        raise KeyboardInterrupt
                    return super().loss(step, batch)

            task = Stopped(reader, BANK, seed=1, steps=4, batch_size=4)
            try:
                train(
                    reader, task, steps=4, learning_rate=1e-3, weight_decay=0.01,
                    checkpoint=tmp_path / name, report=lambda line: None, save_every=2,
                )  # fmt: skip
            except KeyboardInterrupt:
                assert stop < 4
            state = reader.state_dict()
        return state

    whole, broken = run("whole", (9,)), run("broken", (3, 9))
    assert all(torch.equal(value, broken[key]) for key, value in whole.items())


def test_another_schedule_does_not_go_on_from_a_checkpoint(tmp_path: Path) -> None:
    layer = torch.nn.Linear(2, 1)

    class Squares:
        def make(self, step: int) -> int:
            return step

        def loss(self, step: int, batch: int) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
            assert step == batch
            return layer(torch.ones(1, 2)).square().sum(), {}

    def run(steps: int) -> None:
        train(
            layer, Squares(), steps=steps, learning_rate=0.1, weight_decay=0.0,
            checkpoint=tmp_path / "layer", report=lambda line: None,
        )  # fmt: skip

    run(2)
    with pytest.raises(DataError, match="another schedule"):
        run(3)


@pytest.mark.slow
def test_the_command_writes_a_backbone_that_loads(tmp_path: Path) -> None:
    bank = tmp_path / "bank.jsonl"
    write_bank(bank, [template for templates in BANK.values() for template in templates])
    arguments = [
        "--out", str(tmp_path / "out"), "--state", str(tmp_path / "state"), "--bank", str(bank),
        "--vision-steps", "2", "--language-steps", "2", "--vision-batch", "4",
        "--language-batch", "4", "--measure", "1", "--nice", "0",
        "--vision-hardware", "a GPU", "--language-hardware", "two cores",
    ]  # fmt: skip
    assert main(arguments) == 0
    model, _ = load_model(str(tmp_path / "out"))
    found = model.language_model.get_input_embeddings().weight
    state = load_file(tmp_path / "state" / "language.safetensors")
    assert torch.equal(found, state["weight.language_model.shared.weight"].half().float())
    assert (tmp_path / "out" / "quality.json").is_file()
    card = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    assert "\n| vqa | " in card
    assert "--seed 0" in card
    assert "- vision: 2 steps of 4, learning rate 0.001, 0 minutes on a GPU\n" in card
    assert "- language: 2 steps of 4, learning rate 0.001, 0 minutes on two cores\n" in card
    size = sum(path.stat().st_size for path in (tmp_path / "out").iterdir())
    assert size < 10_000_000
    start = build_model(build_config(), 0)
    before, after = dict(start.named_parameters()), dict(model.named_parameters())
    projection = before.pop("language_projection.weight") / FEATURE_SCALE  # random as it was
    assert torch.allclose(after["language_projection.weight"], projection, rtol=1e-2, atol=1e-6)
    halves = {name: value.half().float() for name, value in before.items()}
    changed = {name for name in halves if not torch.equal(halves[name], after[name])}
    assert {name.split(".")[0] for name in changed} == {
        "language_model", "qformer", "query_tokens", "vision_model",
    }  # fmt: skip
