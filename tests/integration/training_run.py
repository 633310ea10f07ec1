"""Runs of the training loop in the process of a test."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from training_workspace import read_config

from flows.services import free_port
from mmicl.config import Config
from mmicl.paths import Paths
from mmicl.stages import StageContext, features
from mmicl.train.batches import StepBatch
from mmicl.train.engine import configure_torch, gather_trained
from mmicl.train.loop import Trainer
from mmicl.train.meters import CurveRow, Progress
from mmicl.train.worker import Job, prepare_trainer, train


@contextmanager
def only_rank() -> Iterator[None]:
    """This process as the only rank of a run."""
    port = str(free_port())
    rank = {"RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "0", "DS_ACCELERATOR": "cpu"}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, **rank}.items():
            patch.setenv(name, value)
        yield
    torch.use_deterministic_algorithms(False)


def prepare(
    paths: Paths, run: Path, stage: str = "pretrain", **sections: dict[str, Any]
) -> Trainer:
    """A trainer with its engine; changes to sections of the params stay in the workspace."""
    run.mkdir(parents=True, exist_ok=True)
    config = read_config(paths, **sections)
    configure_torch(config.seed, threads=1)
    job = Job(stage, paths, run, config, rank=0, ranks=1)
    trainer, _ = prepare_trainer(job, Progress(stage, 6, False), lambda metrics, step: None)
    return trainer


def prepare_features(paths: Paths) -> None:
    """What stage II starts from: the base as stage I of no steps hands it on, and its features."""
    config = read_config(paths, pretrain={"steps": 0})
    hand_on("pretrain", paths, config, paths.pretrained)
    features.run(StageContext("features", None, config, paths, "0" * 40))


def hand_on(stage: str, paths: Paths, config: Config, out: Path) -> None:
    """What a stage of no steps leaves."""
    run = paths.run(stage, "none")
    train(Job(stage, paths, run, config, rank=0, ranks=1))
    shutil.copytree(run / "result", out)


def weights_of(trainer: Trainer) -> dict[str, torch.Tensor]:
    """Copies of the trained weights as they are now."""
    return gather_trained(trainer.engine, trainer.names)


def record_weights(trainer: Trainer) -> list[dict[str, torch.Tensor]]:
    """A list that gets the weights after each step, and begins with those before the first."""
    seen, take = [weights_of(trainer)], trainer._train_step

    def train_step(step: int, batch: StepBatch) -> CurveRow:
        row = take(step, batch)
        seen.append(weights_of(trainer))
        return row

    trainer._train_step = train_step
    return seen


def poison(trainer: Trainer, place: int, factor: float = torch.nan) -> str:
    """Multiply the pixels of one sample; returns its id."""
    visual, bad = trainer.batches.visual, trainer.batches.samples[place]
    trainer.batches.visual = lambda view: (
        visual(view) * (factor if view.image == bad.images[0] else 1.0)
    )
    return bad.id
