"""Stage II: projection and the recipe's attention weights learn from MIC data."""

from pathlib import Path

from mmicl.config import Launch
from mmicl.launch.local import launch_training
from mmicl.paths import Paths
from mmicl.processes import run_apart
from mmicl.stages import StageContext
from mmicl.stages.features import restore_features
from mmicl.train.stage import run_training


def run(context: StageContext) -> None:
    """Train on data/mic/finetune.parquet; write models/finetune and its curve."""

    def launch(stage: str, paths: Paths, run_folder: Path, hardware: Launch) -> int:
        if context.config.finetune.steps:
            run_apart(restore_features, context.config, paths)  # the GPUs are the training's
        return launch_training(stage, paths, run_folder, hardware)

    facts = run_training(
        "finetune",
        context.paths,
        context.run_folder,
        context.paths.finetuned,
        context.config.launch,
        launch,
    )
    context.facts.update(facts)
