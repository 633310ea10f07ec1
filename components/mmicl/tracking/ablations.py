"""An ablation's MLflow run: variants nest under it, so that the UI compares them side by side."""

from pathlib import Path

from mmicl.paths import Paths
from mmicl.tracking.store import PARENT_TAG, RunStatus, Store


def start_ablation(paths: Paths, flow_run_id: str) -> str:
    """The id of the MLflow run of a Prefect flow run, begun now or continued."""
    store = Store(paths)
    run_id = store.get_or_create(
        f"ablation {flow_run_id[:8]}",
        {"mmicl.kind": "ablation", "mmicl.flow_run": flow_run_id},
    )
    store.set_status(run_id, "RUNNING")
    return run_id


def add_variant(paths: Paths, run_id: str, pipeline: str, variant: str, seed: int) -> None:
    """Nest a variant's pipeline run, which holds its params and scores, under the ablation's."""
    tags = {PARENT_TAG: run_id, "mmicl.variant": variant, "mmicl.seed": seed}
    Store(paths).set_tags(pipeline, tags)


def end_ablation(paths: Paths, run_id: str, report: Path, status: RunStatus) -> None:
    """Mark an ablation's run as FINISHED, FAILED or KILLED, and keep its report with it."""
    store = Store(paths)
    if report.is_dir():
        store.log_artifact(run_id, report, "ablation")
    store.set_status(run_id, status)
