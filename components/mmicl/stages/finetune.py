"""Stage II: projection and the recipe's attention weights learn from MIC data."""

from mmicl.launch.local import launch_training
from mmicl.stages import StageContext
from mmicl.train.stage import run_training


def run(context: StageContext) -> None:
    """Train on data/mic/finetune.parquet; write models/finetune and its curve."""
    facts = run_training(
        "finetune",
        context.paths,
        context.run_folder,
        context.paths.finetuned,
        context.config.launch,
        launch_training,
    )
    context.facts.update(facts)
