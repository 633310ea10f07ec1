"""Stage I: Q-Former and projection learn to speak to the frozen language model."""

from mmicl.launch.local import launch_training
from mmicl.stages import StageContext
from mmicl.train.stage import run_training


def run(context: StageContext) -> None:
    """Train on data/mic/pretrain.parquet; write models/pretrain and its curve."""
    facts = run_training(
        "pretrain",
        context.paths,
        context.run_folder,
        context.paths.pretrained,
        context.config.launch,
        launch_training,
    )
    context.facts.update(facts)
