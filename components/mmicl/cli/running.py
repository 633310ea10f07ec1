"""Commands that run something: the chain, one stage, the ablation, the servers."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from mmicl.captioning.options import CAPTIONER, MATCHER, PROMPT, Options
from mmicl.cli.application import AsJson, Overrides, Profile, app, checkout, enter, hand_over
from mmicl.errors import UserError
from mmicl.printing import (
    console,
    print_estimate,
    print_object,
    print_paraphrasing,
    show_progress,
)


@app.command(rich_help_panel="Run")
def run(
    profile: Profile = None,
    overrides: Overrides = None,
    data: Annotated[
        Path | None, typer.Option("--data", help="Folder behind alias://DATA/… sources.")
    ] = None,
) -> None:
    """Run the whole chain as the deployment mmicl/full; nothing to do costs seconds."""
    from mmicl.registry.summary import load_summary, print_summary
    from mmicl.workspace import choose_workspace

    paths = enter(checkout())
    if data is not None:
        if not data.is_dir():
            raise UserError("no such folder", where=data, remedy="give DATA=DIR or --data DIR")
        os.environ["MMICL_SOURCE_DATA"] = str(data.resolve())
    paths = choose_workspace(paths, profile, overrides or [])
    from mmicl.pipeline import status

    # A deleted MLflow database is written again by the flow's last step, without training.
    known = paths.summary.is_file() and paths.mlflow_database.is_file()
    if known and all(stage.up_to_date for stage in status(paths)):
        console.print("Everything is up to date; this is the last run.")
        print_summary(load_summary(paths), paths)
        return
    hand_over("run", paths)


@app.command("continue", rich_help_panel="Run")
def continue_training(
    stage: Annotated[str, typer.Argument(help="pretrain or finetune.")],
    source: Annotated[
        str | None, typer.Option("--from", help="The earlier run's fingerprint, or its beginning.")
    ] = None,
    profile: Profile = None,
    overrides: Overrides = None,
) -> None:
    """Let a training whose code has changed go on from its checkpoint when it next runs."""
    from mmicl.lineage import code_state, find_inputs
    from mmicl.train.continuation import continue_run
    from mmicl.workspace import choose_workspace

    paths = choose_workspace(enter(checkout()), profile, overrides or [])
    revision = code_state(paths.root)["revision"]
    told = continue_run(paths, stage, find_inputs(paths, stage), source, revision)
    console.print(
        f"{stage} goes on from step {told['step']} of {told['from'][:12]}, over changes in "
        f"{', '.join(told['code']) or 'nothing'}"
    )


@app.command(rich_help_panel="Run")
def ablate(
    seeds: Annotated[
        list[int] | None, typer.Option("--seed", help="Instead of those of params.yaml.")
    ] = None,
    variants: Annotated[
        list[str] | None, typer.Option("--variant", help="Of params.yaml; all if left out.")
    ] = None,
) -> None:
    """Run the grid `ablation` of params.yaml as the deployment mmicl-ablation/paper."""
    options = [f"--seed={seed}" for seed in seeds or []]
    options += [f"--variant={name}" for name in variants or []]
    hand_over("ablation", enter(checkout()), *options)


@app.command(rich_help_panel="Run")
def up() -> None:
    """Keep the Prefect server, a worker and the MLflow UI running on loopback until Ctrl-C."""
    hand_over("up", enter(checkout()))


@app.command(rich_help_panel="Run")
def stage(
    name: Annotated[str, typer.Argument(help="A stage or one member: pretrain, ingest@coco.")],
) -> None:
    """Bring one stage up to date through DVC, without Prefect."""
    from mmicl.pipeline import bring_up_to_date

    paths = enter(checkout())
    bring_up_to_date(paths, [name])  # prints a line when a stage starts and one when it ends


@app.command(rich_help_panel="Run")
def plan(profile: Profile = None, overrides: Overrides = None) -> None:
    """What would run and why; for the big profiles also memory, disk and hours, estimated."""
    from mmicl.config import check_config, load_config
    from mmicl.known import check_names
    from mmicl.pipeline import status
    from mmicl.workspace import choose_workspace, resolve_params

    paths = enter(checkout())
    load_config(paths.root / "params.yaml")
    if profile is not None:
        params = resolve_params(paths.root, profile, overrides or [])
        config = check_config(params, where=f"profile {profile}")
        check_names(config)
        if not config.model.base.startswith("builtin:"):
            print_estimate(config, paths)
            return
    paths = choose_workspace(paths, profile, overrides or [])
    table = Table("stage", "state", "why", box=None)
    for item in status(paths):
        table.add_row(item.name, "up to date" if item.up_to_date else "would run", item.why)
    console.print(table)
    print_paraphrasing(load_config(paths.root / "params.yaml"), paths)


@app.command(rich_help_panel="Run")
def caption(
    source: Annotated[Path, typer.Option(help="Folder of img2dataset's shards.")],
    out: Annotated[Path, typer.Option(help="Folder that gets shards of the same layout.")],
    captioner: Annotated[
        str, typer.Option(help="BLIP captioner: a folder, or OWNER/NAME[@REVISION] of the hub.")
    ] = CAPTIONER,
    matcher: Annotated[str, typer.Option(help="BLIP image-text matcher, likewise.")] = MATCHER,
    candidates: Annotated[int, typer.Option(help="Captions a picture.")] = 10,
    sampling: Annotated[str, typer.Option(help="nucleus draws them; beam searches.")] = "nucleus",
    top_p: Annotated[float, typer.Option(help="Share of probability in the nucleus.")] = 0.9,
    seed: Annotated[int, typer.Option(help="Of the draws.")] = 0,
    prompt: Annotated[str, typer.Option(help="What every caption goes on from.")] = PROMPT,
    precision: Annotated[str, typer.Option(help="float32, bfloat16 or float16.")] = "float32",
    batch_size: Annotated[int, typer.Option(help="Pictures a forward pass.")] = 16,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:NUMBER.")] = "auto",
    part: Annotated[str, typer.Option(help="i/n: the i-th of n machines; from 1.")] = "1/1",
    as_json: AsJson = False,
) -> None:
    """Write captions for web-scale pictures with BLIP; the best by image-text matching is kept.

    Shards that are done are left alone; run it again to go on.
    """
    options = Options(
        source=source, out=out, captioner=captioner, matcher=matcher, candidates=candidates,
        sampling=sampling, top_p=top_p, seed=seed, prompt=prompt, precision=precision,
        batch_size=batch_size, device=device, part=part,
    )  # fmt: skip
    from mmicl.captioning.job import caption_shards

    with show_progress() as bar:
        task = bar.add_task("pictures", start=False)

        def start(rows: int) -> Callable[[int], None]:
            bar.reset(task, total=rows)
            return lambda done: bar.advance(task, done)

        counts = caption_shards(options, start, bar.console.print)
    print_object(counts, as_json)


@app.command(rich_help_panel="Run")
def track() -> None:
    """Write runs, scores and the model into MLflow again from what lies on disk."""
    from mmicl.config import load_config
    from mmicl.tracking import sync

    paths = enter(checkout())
    registered = sync(paths, load_config(paths.root / "params.yaml"))
    console.print(
        f"{registered.name} version {registered.version}: {', '.join(registered.aliases)}"
    )
