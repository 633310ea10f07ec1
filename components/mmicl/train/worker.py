"""One rank of a training stage, started by torchrun.

Reads the checkout's params and tables, trains, and leaves in the run folder `result/`: the trained
tensors, what they are, and the curve. The stage copies that to the stage's outs.
"""

import argparse
import os
import sys
import warnings
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmicl.config import Config, Lora, Training, Validation, load_config
from mmicl.errors import DataError, UserError
from mmicl.files import hash_json, read_json, read_rows, replace_folder
from mmicl.paths import Paths
from mmicl.records import Sample
from mmicl.supervision import RunLock, die_with_parent
from mmicl.train.outcome import write_error

if TYPE_CHECKING:
    from collections.abc import Callable

    from mmicl.images.store import ImageStore
    from mmicl.model.processor import MmiclProcessor
    from mmicl.train.batches import BatchMaker, VisualLoader
    from mmicl.train.loop import Trainer
    from mmicl.train.meters import CurveRow, Progress
    from mmicl.train.tracker import Tracker

STAGES = ("pretrain", "finetune")


@dataclass(frozen=True)
class Job:
    """What this rank is to do."""

    stage: str
    paths: Paths
    run_folder: Path
    config: Config
    rank: int
    ranks: int

    @property
    def training(self) -> Training:
        """The stage's section of the params."""
        return self.config.pretrain if self.stage == "pretrain" else self.config.finetune

    @property
    def validation(self) -> Validation | None:
        """When to validate, where the stage does."""
        return getattr(self.config, self.stage).validation

    @property
    def held_out(self) -> Path:
        """The table of the samples that it validates with."""
        name = "pretrain_val" if self.stage == "pretrain" else "val"
        return self.paths.mic / f"{name}.parquet"

    @property
    def recipe(self) -> str:
        """Which weights learn."""
        return "stage1" if self.stage == "pretrain" else self.config.finetune.trainable_attention

    @property
    def lora(self) -> Lora | None:
        """The adapters that learn instead of the recipe's attention, where wanted."""
        return None if self.stage == "pretrain" else self.config.finetune.lora

    @property
    def contrastive(self) -> float:
        """Weight of stage I's contrast beside the caption loss."""
        return self.config.pretrain.contrastive if self.stage == "pretrain" else 0.0

    def list_tokens(self, processor: "MmiclProcessor") -> list[int]:
        """Ids of the proxies, where their embeddings are to learn."""
        if self.stage == "pretrain" or not self.config.finetune.train_proxies:
            return []
        return processor.proxy_ids

    @property
    def trained(self) -> tuple[Path, ...]:
        """What was trained before, to start from."""
        return () if self.stage == "pretrain" else (self.paths.pretrained,)


def main() -> int:
    """Run one rank, and record how it ended."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--stage", choices=STAGES, required=True)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--run-folder", type=Path, required=True)
    options = parser.parse_args()
    die_with_parent()
    rank, ranks = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    launch = None
    try:
        RunLock(options.run_folder).join()
        paths = Paths.here(options.root)
        config = load_config(paths.root / "params.yaml")
        launch = config.launch
        train(Job(options.stage, paths, options.run_folder, config, rank, ranks))
        _leave_ranks()
    except Exception as error:
        write_error(options.run_folder, rank, error, launch)
        return 1
    return 0


def _check_gpus(processes: int) -> None:
    """See that every process of this machine has a GPU, where there are GPUs.

    Raises:
        UserError: There are fewer.
    """
    import torch

    if 0 < torch.cuda.device_count() < processes:
        raise UserError(
            f"{processes} processes train, and torch sees {torch.cuda.device_count()} GPU(s)",
            where="launch.processes",
            remedy=f"set it to {torch.cuda.device_count()}; results stay the same but for rounding",
        )


def train(job: Job) -> None:
    """Train, and let rank 0 write the result; no steps hand the starting weights on."""
    import torch

    os.environ.setdefault("DS_ACCELERATOR", "cuda" if torch.cuda.is_available() else "cpu")
    warnings.filterwarnings("ignore", category=UserWarning)
    from mmicl.train.engine import configure_torch
    from mmicl.train.meters import Progress

    _check_gpus(job.config.launch.processes)
    configure_torch(job.config.seed + job.rank, int(os.environ.get("OMP_NUM_THREADS", "1")))
    progress = Progress(job.stage, job.training.steps, speaking=job.rank == 0)
    if job.training.steps == 0:
        if job.rank == 0:
            _hand_on(job, progress)
        return
    with _open_tracker(job, progress.say) as tracker:
        log = tracker.log if tracker is not None else _log_nothing
        trainer, total = prepare_trainer(job, progress, log)
        tensors = trainer.run()
        if job.rank == 0:
            tokens = job.list_tokens(trainer.batches.processor)
            facts = {
                "of_parameters": total,
                **({"tokens": tokens} if tokens else {}),
                "samples": len(trainer.batches.samples),
                **trainer.facts_of_result(),
            }
            _write_result(job, tensors, trainer.curve, facts)
            _warn_of_cuts(job, progress, trainer.truncated)
    torch.distributed.barrier()


def _leave_ranks() -> None:
    """End the process group, where one was needed; torch otherwise complains about it."""
    import torch

    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def prepare_trainer(
    job: Job, progress: "Progress", log: "Callable[[dict[str, float], int], None]"
) -> "tuple[Trainer, int]":
    """Load model and tables, start the engine; returns the trainer and the model's weights."""
    from mmicl.images.store import ImageStore
    from mmicl.model.features import check_frozen
    from mmicl.model.freeze import select_trainable
    from mmicl.model.loading import load_model
    from mmicl.train.engine import build_engine, start_ranks
    from mmicl.train.loop import Trainer
    from mmicl.train.validation import Validator

    start_ranks()
    base = job.config.model
    model, processor = load_model(
        base.base, base.revision, instruct=base.instruct_qformer, trained=job.trained
    )
    images = ImageStore([job.paths.images(name) for name in job.config.datasets])
    visual = _choose_visual(job, model, processor, images)
    names = select_trainable(model, job.recipe, job.lora, job.list_tokens(processor))
    if job.stage == "finetune":
        check_frozen(names)
    total = sum(value.numel() for value in model.parameters())
    batches = _make_batches(job, job.paths.mic / f"{job.stage}.parquet", processor, visual)
    validator = None
    if job.validation is not None:
        held_out = _make_batches(job, job.held_out, processor, visual)
        validator = Validator(held_out, job.validation, job.training.global_batch)
    engine = build_engine(model, job.training, job.config.launch)
    epochs = job.training.steps * job.training.global_batch / len(batches.samples)
    progress.say(
        f"{len(batches.samples)} samples, {epochs:.2f} epochs, {len(names)} tensors learn, "
        f"{job.ranks} process(es), "
        f"ZeRO {job.config.launch.zero_stage}"
    )
    trainer = Trainer(
        engine=engine,
        batches=batches,
        validator=validator,
        training=job.training,
        launch=job.config.launch,
        seed=job.config.seed,
        run_folder=job.run_folder,
        names=names,
        facts=_checkpoint_facts(job, names),
        progress=progress,
        log=log,
    )
    return trainer, total


def _make_batches(
    job: Job, table: Path, processor: "MmiclProcessor", visual: "VisualLoader"
) -> "BatchMaker":
    """The batches of a table of samples."""
    from mmicl.train.batches import BatchMaker

    samples = read_rows(table, Sample)
    if not samples:
        quota = "validation" if table == job.held_out else job.stage
        raise DataError("the table has no samples", where=table, remedy=f"look at build.{quota}")
    if job.stage == "pretrain" and (without := [row.id for row in samples if not row.images]):
        raise DataError("a sample without an image cannot teach the Q-Former", where=without[0])
    return BatchMaker(
        samples,
        processor,
        visual,
        ranks=job.ranks,
        rank=job.rank,
        micro_batch=job.config.launch.micro_batch,
        micro_tokens=job.config.launch.micro_tokens,
        max_target_tokens=job.training.max_target_tokens,
        contrastive=job.contrastive if table != job.held_out else 0.0,
    )


def _choose_visual(
    job: Job, model: Any, processor: "MmiclProcessor", images: "ImageStore"
) -> "VisualLoader":
    """Pixels for stage I; for stage II the features that the frozen half made of them."""
    from mmicl.model.features import FeatureStore, feature_key
    from mmicl.train.batches import load_features, load_pixels

    if job.stage == "pretrain":
        return load_pixels(images, processor)
    key, precision = read_json(job.paths.features)["key"], job.config.features.precision
    if key != feature_key(model, processor, precision):
        raise DataError(
            "these features are not those of the stage I weights",
            where=job.paths.features,
            remedy="run the stage features again",
        )
    return load_features(FeatureStore(job.paths.cache("features") / key, key, precision))


def _checkpoint_facts(job: Job, names: list[str]) -> dict[str, Any]:
    """What a checkpoint must have in common with a run that goes on from it."""
    return {
        "trained parameters": hash_json(names)[:12],
        "steps": job.training.steps,
    }


def _open_tracker(job: Job, say: "Callable[[str], None]") -> "Tracker | nullcontext[None]":
    """Live metrics on rank 0."""
    if job.rank != 0:
        return nullcontext()
    from mmicl.train.tracker import Tracker

    def open_run() -> Any:
        from mmicl import tracking

        return tracking.open_stage_run(job.paths, job.stage, job.run_folder.name)

    return Tracker(open_run, say)


def _log_nothing(metrics: dict[str, float], step: int) -> None:
    """The tracker of a rank that does not track."""


def _hand_on(job: Job, progress: "Progress") -> None:
    """Write the starting weights, unchanged to the last bit, as the result of no steps.

    No engine is built: one of bf16 would round them.
    """
    from mmicl.model.freeze import select_trainable
    from mmicl.model.loading import load_model

    progress.say(f"nothing to train ({job.stage}.steps is 0)")
    base = job.config.model
    model, _ = load_model(
        base.base, base.revision, instruct=base.instruct_qformer, trained=job.trained
    )
    parameters = dict(model.named_parameters())
    tensors = {name: parameters[name] for name in select_trainable(model, job.recipe)}
    facts = {
        "of_parameters": sum(value.numel() for value in parameters.values()),
        "samples": 0,
        "steps": 0,
        "skipped_steps": 0,
        "final_loss": None,
        "validation_loss": None,
        "truncated_targets": 0,
    }
    _write_result(job, tensors, [], facts)


def _write_result(
    job: Job, tensors: dict[str, Any], curve: "list[CurveRow]", facts: dict[str, Any]
) -> None:
    """Write `result/`, the same bytes for the same run."""
    from mmicl.model.loading import save_tensors
    from mmicl.train.meters import write_curve

    record = {
        "stage": job.stage,
        "base": job.config.model.base,
        "revision": job.config.model.revision,
        "recipe": job.recipe,
        **({"lora": job.lora.model_dump()} if job.lora else {}),
        "training": job.training.model_dump(),
        **facts,
    }
    with replace_folder(job.run_folder / "result") as folder:
        save_tensors(tensors, folder, record)
        write_curve(folder / "curve.csv", curve)


def _warn_of_cuts(job: Job, progress: "Progress", truncated: int) -> None:
    """Say how many targets were longer than the params allow."""
    if truncated:
        progress.say(
            f"{truncated} targets were cut at {job.training.max_target_tokens} tokens "
            f"({job.stage}.max_target_tokens)"
        )


if __name__ == "__main__":
    sys.exit(main())
