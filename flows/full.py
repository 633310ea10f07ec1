"""The flow `mmicl`: from official files to a registered model, to be read as prose."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from prefect import State, flow
from prefect.runtime import flow_run

from flows.frame import LOG, die_with_worker, fail, tracked
from flows.stage import bring_up_to_date
from mmicl.config import load_config
from mmicl.errors import MmiclError
from mmicl.paths import Paths
from mmicl.registry.summary import write_summary
from mmicl.tracking import PIPELINE_VARIABLE, end_pipeline, start_pipeline, sync
from mmicl.workspace import choose_workspace

STAGES = (
    "fetch",
    "ingest",
    "augment",
    "build",
    "validate",
    "pretrain",
    "features",
    "finetune",
    "evaluate",
    "register",
)
"""Every stage group, in order."""


@flow(name="mmicl", persist_result=False, validate_parameters=True)
def full(
    profile: str | None = None,
    overrides: list[str] | None = None,
    stages: list[str] | None = None,
) -> State | None:
    """Bring the stages up to date, and MLflow in line with them.

    Args:
        profile: A file of profiles/; left out, the checkout's own params.yaml.
        overrides: `key=value` over the profile, each. Another profile or overrides run in a
            workspace of their own and leave this checkout's params.yaml and dvc.lock alone.
        stages: Stage groups to bring up to date, in order; all of them if left out.

    Returns:
        Nothing, or the state that says which foreseen error ended it.
    """
    die_with_worker()
    try:
        paths = choose_checkout(profile, overrides or [])
        with tracked_pipeline(paths) as run_id:
            results = [
                result for group in stages or STAGES for result in bring_up_to_date(paths, group)
            ]
            registered = sync(paths, load_config(paths.root / "params.yaml"), run_id)
            write_summary(paths, load_config(paths.root / "params.yaml"), results, registered)
    except MmiclError as error:
        return fail(error)
    return None


def choose_checkout(profile: str | None, overrides: list[str]) -> Paths:
    """This checkout, or the workspace of another profile."""
    here = Paths.here()
    chosen = choose_workspace(here, profile, overrides)
    if chosen != here:
        LOG.info("working in %s", chosen.root)
    return chosen


@contextmanager
def tracked_pipeline(paths: Paths) -> Iterator[str]:
    """The MLflow run that the runs of all stages nest under; yields its id."""
    config = load_config(paths.root / "params.yaml")
    run_id = start_pipeline(paths, str(flow_run.id), config.profile)
    os.environ[PIPELINE_VARIABLE] = run_id
    with tracked(lambda status: end_pipeline(paths, run_id, status)):
        yield run_id
