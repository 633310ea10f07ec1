"""The runs that are written while things go on: a training's live curve, a pipeline's frame."""

import logging
import os
from collections.abc import Mapping
from types import TracebackType
from typing import Self

from mmicl.config import load_config
from mmicl.paths import Paths
from mmicl.tracking.chain import dump_params
from mmicl.tracking.store import PARENT_TAG, RunStatus, Store

PIPELINE_VARIABLE = "MMICL_PIPELINE_RUN"
"""Environment variable with the id of the pipeline run that stage runs nest under."""
_LOG = logging.getLogger(__name__)


class StageRun:
    """A stage's MLflow run, open while the stage works.

    After a resume the same run goes on: steps it already has are not written again. Live figures
    are a convenience, so a database that cannot be written ends them with one warning and not the
    training; `sync` completes the curve from disk.
    """

    def __init__(self, store: Store, run_id: str) -> None:
        self.run_id = run_id
        self._store = store
        self._broken = False
        self._last: dict[str, int] = {}

    def log_metrics(self, metrics: Mapping[str, float], step: int) -> None:
        """Add one point to each named curve."""
        from mlflow.exceptions import MlflowException

        if self._broken:
            return
        try:
            self._store.log_curve(self.run_id, [(step, metrics)], self._last)
        except MlflowException as error:
            self._broken = True
            _LOG.warning("MLflow gets no more live figures of this run: %s", error.message)

    def close(self, status: RunStatus = "FINISHED") -> None:
        """Mark the run as ended."""
        self._store.set_status(self.run_id, status)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.close("FAILED" if issubclass(kind, Exception) else "KILLED")


def open_stage_run(paths: Paths, stage: str, fingerprint: str) -> StageRun:
    """The run of a stage and fingerprint, begun now or continued.

    It nests under the pipeline run of MMICL_PIPELINE_RUN; without one, `sync` gives it a parent.
    Only one process of a training calls this (rank 0).
    """
    store = Store(paths)
    run_id = get_stage_run(store, stage, fingerprint, os.environ.get(PIPELINE_VARIABLE))
    store.set_status(run_id, "RUNNING")
    return StageRun(store, run_id)


def get_stage_run(
    store: Store, stage: str, fingerprint: str, parent: str | None, start: float | None = None
) -> str:
    """The id of the run of a stage and fingerprint; it keeps the parent that it first had."""
    run_id = store.get_or_create(
        stage, {"mmicl.stage": stage, "mmicl.fingerprint": fingerprint}, start
    )
    if parent and PARENT_TAG not in store.run(run_id).data.tags:
        store.set_tags(run_id, {PARENT_TAG: parent})
    return run_id


def start_pipeline(paths: Paths, flow_run_id: str, profile: str) -> str:
    """The id of the pipeline run of a Prefect flow run, begun now or continued.

    A checkout runs one flow at a time, so a pipeline run of this checkout that is still marked as
    running was cut off: it is marked as killed, and so are the stage runs it left open.
    """
    store = Store(paths)
    here = {"mmicl.kind": "pipeline", "mmicl.checkout": str(paths.root)}
    run_id = store.get_or_create(
        f"{profile} {flow_run_id[:8]}",
        {"mmicl.kind": "pipeline", "mmicl.flow_run": flow_run_id},
    )
    store.set_tags(run_id, {**here, "mmicl.profile": profile})
    for run in store.find(here):
        if run.info.status == "RUNNING" and run.info.run_id != run_id:
            children = store.find({PARENT_TAG: run.info.run_id})
            for cut in [run, *(child for child in children if child.info.status == "RUNNING")]:
                store.set_status(cut.info.run_id, "KILLED")
    store.set_status(run_id, "RUNNING")
    store.log_params(run_id, dump_params(load_config(paths.root / "params.yaml")))
    return run_id


def end_pipeline(paths: Paths, run_id: str, status: RunStatus) -> None:
    """Mark a pipeline run as FINISHED, FAILED or KILLED."""
    Store(paths).set_status(run_id, status)
