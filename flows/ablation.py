"""The flow `mmicl-ablation`: the grid of params.yaml, each variant in a workspace of its own.

Workspaces share DVC's cache and the state, so what variants have in common is computed once, and
a flow that was cut off goes on where it was. The report is written after every variant.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from prefect import State, flow, task
from prefect.cache_policies import NO_CACHE
from prefect.runtime import flow_run
from prefect.states import Failed
from prefect.tasks import exponential_backoff

from flows.stage import LOG, may_pass
from mmicl.ablation.comparison import Scored, judge_claims, read_scored
from mmicl.ablation.report import write_report
from mmicl.config import Ablation, load_config
from mmicl.errors import MmiclError, UserError
from mmicl.paths import Paths
from mmicl.pipeline import make_error, read_groups, try_up_to_date
from mmicl.supervision import die_with_parent
from mmicl.tracking import add_variant, end_ablation, start_ablation, sync
from mmicl.workspace import prepare_workspace

LAST = "evaluate"
"""Variants are measured, not registered."""


@flow(name="mmicl-ablation", persist_result=False, validate_parameters=True)
def ablation(seeds: list[int] | None = None, variants: list[str] | None = None) -> State | None:
    """Bring every variant under every seed up to its scores, and hold the claims against them.

    Args:
        seeds: Instead of those of params.yaml (`ablation.seeds`).
        variants: Names of `ablation.variants`; all of them if left out.

    Returns:
        Nothing, or the state that says which foreseen error ended it.
    """
    if os.environ.get("PREFECT__FLOW_RUN_ID"):
        die_with_parent()  # of a killed worker, nothing goes on
    paths = Paths.here()
    try:
        grid = choose_grid(load_config(paths.root / "params.yaml").ablation, seeds, variants)
        with tracked_ablation(paths) as run_id:
            found: list[Scored] = []
            for seed in grid.seeds:
                for name, overrides in grid.variants.items():
                    found.append(measure(paths, run_id, name, seed, overrides))
                    write_report(paths.ablation, grid, found, judge_claims(grid.claims, found))
        LOG.info("written: %s", paths.ablation / "index.html")
    except MmiclError as error:
        LOG.error("mmicl: %s", error)
        return Failed(name=f"{error.kind.capitalize()} error", message=str(error))
    return None


def choose_grid(
    whole: Ablation, seeds: Sequence[int] | None, variants: Sequence[str] | None
) -> Ablation:
    """The part of the grid that is asked for; claims without both variants stay unmeasured.

    Raises:
        UserError: A variant that the grid does not have.
    """
    if unknown := sorted(set(variants or ()) - set(whole.variants)):
        raise UserError(
            f"no variant named {', '.join(unknown)}",
            where="ablation.variants",
            remedy=f"there are {', '.join(whole.variants)}",
        )
    chosen = {
        name: overrides
        for name, overrides in whole.variants.items()
        if variants is None or name in variants
    }
    return whole.model_copy(update={"seeds": list(seeds or whole.seeds), "variants": chosen})


def measure(paths: Paths, run_id: str, variant: str, seed: int, overrides: Sequence[str]) -> Scored:
    """Measure a variant as a task that is named after it.

    Raises:
        MmiclError: The error of the stage that failed. Only a transient one was tried again.
    """
    named = _measure.with_options(name=variant, task_run_name=f"{variant}, seed {seed}")
    return named(paths, run_id, variant, seed, list(overrides))


@task(
    retries=3,
    retry_delay_seconds=exponential_backoff(10),
    retry_condition_fn=may_pass,
    cache_policy=NO_CACHE,  # DVC knows what is up to date
    persist_result=False,
)
def _measure(paths: Paths, run_id: str, variant: str, seed: int, overrides: list[str]) -> Scored:
    """Bring the variant's workspace up to its scores; params and scores go to MLflow."""
    own = prepare_workspace(paths, None, [f"seed={seed}", *overrides])
    LOG.info("%s, seed %d: in %s", variant, seed, own.root.name)
    groups = read_groups(own)
    results = try_up_to_date(own, groups[: groups.index(LAST) + 1], on_line=LOG.info)
    failures = [result for result in results if result.status == "failed"]
    if failures:
        raise make_error(failures[0])
    registered = sync(own, load_config(own.root / "params.yaml"))
    add_variant(own, run_id, registered.pipeline_run, variant, seed)
    return read_scored(own, variant, seed)


@contextmanager
def tracked_ablation(paths: Paths) -> Iterator[str]:
    """The MLflow run that all variants nest under; yields its id."""
    run_id = start_ablation(paths, str(flow_run.id))
    try:
        yield run_id
    except BaseException as error:
        status = "FAILED" if isinstance(error, Exception) else "KILLED"
        end_ablation(paths, run_id, paths.ablation, status)
        raise
    end_ablation(paths, run_id, paths.ablation, "FINISHED")
