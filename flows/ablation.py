"""The flow `mmicl-ablation`: the grid of params.yaml, each variant in a workspace of its own.

Workspaces share DVC's cache and the state, so what variants have in common is computed once, and
a flow that was cut off goes on where it was. The report is written after every variant.

`launch.variants` of them run at a time: much of a stage is one process's (starting, DVC, the
gate), and leaves the other processors to another variant. Where two need the same stage at the same
time, one waits (`mmicl.pipeline`).
"""

import os
import threading
from collections.abc import Iterator

from prefect import State, flow
from prefect.futures import as_completed
from prefect.runtime import flow_run
from prefect.task_runners import ThreadPoolTaskRunner

from flows.frame import LOG, die_with_worker, fail, may_pass, stage_task, tracked
from mmicl.ablation.comparison import Scored, judge_claims, read_scored
from mmicl.ablation.grid import choose_grid
from mmicl.ablation.report import write_report
from mmicl.config import Ablation, load_config
from mmicl.errors import MmiclError, TransientError
from mmicl.paths import Paths
from mmicl.pipeline import bring_up_to_date, read_groups
from mmicl.supervision import end_tree
from mmicl.tracking import add_variant, end_ablation, start_ablation, sync
from mmicl.workspace import prepare_workspace

LAST = "evaluate"
"""Variants are measured, not registered."""
_TRACKING = threading.Lock()
"""MLflow is written to by one variant after the other."""
_STOPPED = threading.Event()
"""No variant is begun, or tried again."""


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
        config = load_config(paths.root / "params.yaml")
        grid = choose_grid(config.ablation, seeds, variants)
        run_id = start_ablation(paths, str(flow_run.id))
        with tracked(lambda status: end_ablation(paths, run_id, paths.ablation, status)):
            for found in measure_grid(paths, run_id, grid, config.launch.variants):
                write_report(paths.ablation, grid, found, judge_claims(grid.claims, found))
        LOG.info("written: %s", paths.ablation / "index.html")
    except MmiclError as error:
        return fail(error)
    return None


def measure_grid(
    paths: Paths, run_id: str, grid: Ablation, at_a_time: int
) -> Iterator[list[Scored]]:
    """Measure every variant under every seed; after each, all that are measured, in grid order.

    Raises:
        MmiclError: The error of the stage that failed; what was at work beside it has been ended.
    """
    found: dict[int, Scored] = {}
    with ThreadPoolTaskRunner(max_workers=at_a_time) as pool:
        begun = {}
        for seed in grid.seeds:
            for name, overrides in grid.variants.items():
                named = _measure.with_options(name=name, task_run_name=f"{name}, seed {seed}")
                own = {
                    "paths": paths, "run_id": run_id, "variant": name, "seed": seed,
                    "overrides": [f"seed={seed}", *grid.common, *overrides],
                }  # fmt: skip
                begun[pool.submit(named, own)] = len(begun)
        try:
            for done in as_completed(list(begun)):
                found[begun[done]] = done.result()
                yield [found[place] for place in sorted(found)]
        except BaseException:
            _STOPPED.set()
            end_tree(os.getpid(), spare_root=True)
            raise


def _may_pass(task: object, run: object, state: object) -> bool:
    """As everywhere, unless the flow has been stopped."""
    return not _STOPPED.is_set() and may_pass(task, run, state)


@stage_task(retry_condition_fn=_may_pass)
def _measure(paths: Paths, run_id: str, variant: str, seed: int, overrides: list[str]) -> Scored:
    """Bring the variant's workspace up to its scores; params and scores go to MLflow.

    Raises:
        MmiclError: The error of the stage that failed. Only a transient one was tried again.
    """
    title = f"{variant}, seed {seed}"
    if _STOPPED.is_set():
        raise TransientError(f"{title}: stopped before it began")
    own = prepare_workspace(paths, None, overrides)
    LOG.info("%s: in %s", title, own.root.name)
    groups = read_groups(own)
    bring_up_to_date(
        own,
        groups[: groups.index(LAST) + 1],
        on_line=lambda line: LOG.info("%s: %s", title, line),
    )
    with _TRACKING:
        registered = sync(own, load_config(own.root / "params.yaml"))
        add_variant(own, run_id, registered.pipeline_run, variant, seed)
    return read_scored(own, variant, seed)
