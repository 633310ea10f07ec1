"""A rank that trains on a table with one bad sample, and writes what it saw of the weights."""

import os
from pathlib import Path

import torch
from training_run import poison

from mmicl.config import load_config
from mmicl.files import hash_json, write_json
from mmicl.paths import Paths
from mmicl.train.batches import StepBatch
from mmicl.train.engine import blip2_of, configure_torch
from mmicl.train.meters import CurveRow, Progress
from mmicl.train.worker import Job, prepare_trainer


def train_poisoned(paths: Paths, run: Path, place: int) -> None:
    """Train, and write `seen_RANK.json`: a digest of the weights after each step."""
    rank, ranks = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    config = load_config(paths.root / "params.yaml")
    configure_torch(config.seed, threads=1)
    job = Job("pretrain", paths, run, config, rank, ranks)
    progress = Progress("pretrain", config.pretrain.steps, rank == 0)
    trainer, _ = prepare_trainer(job, progress, lambda metrics, step: None)
    poison(trainer, place)
    seen: list[str] = []
    take = trainer._train_step

    def train_step(step: int, batch: StepBatch) -> CurveRow:
        row = take(step, batch)
        weights = dict(blip2_of(trainer.engine).named_parameters())
        seen.append(hash_json([weights[name].double().sum().item() for name in trainer.names]))
        return row

    trainer._train_step = train_step
    trainer.run()
    write_json(run / f"seen_{rank}.json", seen)
    torch.distributed.destroy_process_group()
