"""The flow `mmicl-ablation`: the grid of params.yaml, each variant in a workspace of its own.

Workspaces share DVC's cache and the state, so what variants have in common is computed once, and
a flow that was cut off goes on where it was. The report is written after every variant.
"""

from collections.abc import Sequence

from prefect import State, flow
from prefect.runtime import flow_run

from flows.frame import LOG, die_with_worker, fail, stage_task, tracked
from mmicl.ablation.comparison import Scored, judge_claims, read_scored
from mmicl.ablation.report import write_report
from mmicl.config import Ablation, load_config
from mmicl.errors import MmiclError, UserError
from mmicl.paths import Paths
from mmicl.pipeline import bring_up_to_date, read_groups
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
    die_with_worker()
    paths = Paths.here()
    try:
        grid = choose_grid(load_config(paths.root / "params.yaml").ablation, seeds, variants)
        run_id = start_ablation(paths, str(flow_run.id))
        with tracked(lambda status: end_ablation(paths, run_id, paths.ablation, status)):
            found: list[Scored] = []
            for seed in grid.seeds:
                for name, overrides in grid.variants.items():
                    own = [f"seed={seed}", *grid.common, *overrides]
                    found.append(measure(paths, run_id, name, seed, own))
                    write_report(paths.ablation, grid, found, judge_claims(grid.claims, found))
        LOG.info("written: %s", paths.ablation / "index.html")
    except MmiclError as error:
        return fail(error)
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


@stage_task()
def _measure(paths: Paths, run_id: str, variant: str, seed: int, overrides: list[str]) -> Scored:
    """Bring the variant's workspace up to its scores; params and scores go to MLflow."""
    own = prepare_workspace(paths, None, overrides)
    LOG.info("%s, seed %d: in %s", variant, seed, own.root.name)
    groups = read_groups(own)
    bring_up_to_date(own, groups[: groups.index(LAST) + 1], on_line=LOG.info)
    registered = sync(own, load_config(own.root / "params.yaml"))
    add_variant(own, run_id, registered.pipeline_run, variant, seed)
    return read_scored(own, variant, seed)
