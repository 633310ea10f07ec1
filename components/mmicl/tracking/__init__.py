"""What came out, in MLflow: runs, scores, inputs and the model registry.

`store` is the only module of the project that imports mlflow; importing this package does not.
"""

from mmicl.tracking.ablations import add_variant, end_ablation, start_ablation
from mmicl.tracking.runs import (
    PIPELINE_VARIABLE,
    StageRun,
    end_pipeline,
    open_stage_run,
    start_pipeline,
)
from mmicl.tracking.serving import SERVER_ENVIRONMENT, server_command
from mmicl.tracking.store import RunStatus
from mmicl.tracking.sync import sync
from mmicl.tracking.versions import Registered, model_folder, read_lineage

__all__ = [
    "PIPELINE_VARIABLE",
    "SERVER_ENVIRONMENT",
    "Registered",
    "RunStatus",
    "StageRun",
    "add_variant",
    "end_ablation",
    "end_pipeline",
    "model_folder",
    "open_stage_run",
    "read_lineage",
    "server_command",
    "start_ablation",
    "start_pipeline",
    "sync",
]
