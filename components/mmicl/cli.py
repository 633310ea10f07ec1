"""The `mmicl` command: the table of contents of the product.

Commands import what they need when they run, so that `--help` is instant.
"""

import contextlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated
from urllib.parse import urlencode

import typer
from rich.table import Table

from mmicl.captioning.options import CAPTIONER, MATCHER, PROMPT, Options
from mmicl.errors import MmiclError, UserError
from mmicl.paths import Paths
from mmicl.printing import (
    console,
    print_comparison,
    print_estimate,
    print_object,
    print_paraphrasing,
    show_progress,
)

app = typer.Typer(
    name="mmicl",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="Train vision-language models that learn from several images in context.",
)
params_app = typer.Typer(no_args_is_help=True, help="Show or replace params.yaml.")
app.add_typer(params_app, name="params", rich_help_panel="Configure")

Profile = Annotated[
    str | None, typer.Option("--profile", help="A file of profiles/, in a workspace of its own.")
]
Overrides = Annotated[
    list[str] | None, typer.Option("--set", help="key=value over the profile; repeatable.")
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")]

BROWSE_PORT = 4300


def checkout() -> Path:
    """The root of the checkout that the current folder belongs to.

    Raises:
        UserError: No folder from here upwards holds dvc.yaml and params.yaml.
    """
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "dvc.yaml").is_file() and (folder / "components" / "mmicl").is_dir():
            return folder
    raise UserError(
        "not inside a checkout of mmicl", where=here, remedy="cd to the folder that holds dvc.yaml"
    )


def enter(root: Path) -> Paths:
    """Work from the checkout's root, with its own tools first on PATH."""
    os.chdir(root)
    own = str(Path(sys.executable).parent)
    os.environ["PATH"] = os.pathsep.join([own, os.environ.get("PATH", os.defpath)])
    return Paths.here(root)


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
    from mmicl.pipeline import status
    from mmicl.workspace import choose_workspace, resolve_params

    paths = enter(checkout())
    load_config(paths.root / "params.yaml")
    if profile is not None:
        params = resolve_params(paths.root, profile, overrides or [])
        config = check_config(params, where=f"profile {profile}")
        if not config.model.base.startswith("builtin:"):
            print_estimate(config, paths)
            return
    paths = choose_workspace(paths, profile, overrides or [])
    table = Table("stage", "state", "why", box=None)
    for item in status(paths):
        table.add_row(item.name, "up to date" if item.up_to_date else "would run", item.why)
    console.print(table)
    print_paraphrasing(load_config(paths.root / "params.yaml"), paths)


@params_app.command("show")
def show_params(
    profile: Annotated[
        str | None, typer.Argument(help="A profile; the checkout's if left out.")
    ] = None,
) -> None:
    """Check and print a complete configuration."""
    from mmicl.config import load_config

    path = params_file(checkout(), profile)
    load_config(path)
    sys.stdout.write(path.read_text(encoding="utf-8"))


@params_app.command("use")
def use_params(profile: Annotated[str, typer.Argument(help="A file of profiles/.")]) -> None:
    """Write a profile into params.yaml, visibly in git."""
    from mmicl.config import load_config
    from mmicl.files import write_text

    root = checkout()
    path = params_file(root, profile)
    load_config(path)
    write_text(root / "params.yaml", path.read_text(encoding="utf-8"))
    console.print(f"params.yaml is now {profile}; see git diff params.yaml")


@app.command(rich_help_panel="Configure")
def bank(
    accept: Annotated[
        list[str] | None, typer.Option("--accept", help="An id, or vqa-03-* for all; repeatable.")
    ] = None,
) -> None:
    """Read the paraphrases that wait for review, and accept some into the instruction bank."""
    from mmicl.augment.review import accept_waiting, print_waiting

    paths = enter(checkout())
    if not accept:
        print_waiting(paths, console)
        return
    count, path = accept_waiting(paths, accept)
    console.print(f"{count} accepted; see git diff {path.relative_to(paths.root)}")


@app.command(rich_help_panel="Look")
def ingest(
    dataset: Annotated[str, typer.Argument(help="A reader: coco_caption, vqav2, vcr, …")],
    source: Annotated[
        str, typer.Option(help="world://…, a folder, alias://, s3://, https://, hf://.")
    ],
    out: Annotated[Path, typer.Option(help="Folder to write; must not exist.")],
    file: Annotated[
        list[str] | None,
        typer.Option("--file", help="role=path: a file named otherwise; see docs/datasets.md."),
    ] = None,
    frames: Annotated[int | None, typer.Option(help="Of each video; 8 by default.")] = None,
    as_json: AsJson = False,
) -> None:
    """Read one dataset outside the pipeline: counts per split, quarantined by reason."""
    from mmicl.stages.ingest import ingest_uri

    names = split_pairs(file or [])
    print_object(ingest_uri(dataset, source, out, Paths.here(), names, frames), as_json)


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


@app.command(rich_help_panel="Look")
def browse(
    profile: Profile = None,
    overrides: Overrides = None,
    port: Annotated[int, typer.Option(help="On loopback; 0 takes a free one.")] = BROWSE_PORT,
    filters: Annotated[
        list[str] | None,
        typer.Option("--filter", help="key=value: part, dataset, task, split, images, text."),
    ] = None,
    once: Annotated[
        Path | None, typer.Option("--once", help="Write one page to this file and serve nothing.")
    ] = None,
) -> None:
    """Look at the built samples in a browser: pictures, prompt, target, provenance."""
    from mmicl.browse import make_server, open_view, parse_choice, write_alone
    from mmicl.config import load_config
    from mmicl.files import write_text
    from mmicl.workspace import choose_workspace

    once = once and once.resolve()
    choice = parse_choice(split_pairs(filters or [], "--filter", "key=value"))
    paths = choose_workspace(enter(checkout()), profile, overrides or [])
    view = open_view(paths, load_config(paths.root / "params.yaml"))
    if once is not None:
        write_text(once, write_alone(view, choice))
        return
    with make_server(view, port) as server, contextlib.suppress(KeyboardInterrupt):
        address = f"http://127.0.0.1:{server.server_port}/"
        console.print(f"{address}?{urlencode(choice.fields())}  (Ctrl-C ends)", soft_wrap=True)
        server.serve_forever()


@app.command(rich_help_panel="Look")
def predict(
    model: Annotated[str, typer.Argument(help="NAME, NAME@alias, NAME/version, or a folder.")],
    text: Annotated[str, typer.Argument(help="A prompt that names its images: …<image0>…")],
    image: Annotated[list[Path], typer.Option("--image", help="In order; repeatable.")],
    max_new_tokens: int = 32,
) -> None:
    """Ask a model about one or several pictures."""
    from mmicl.model.answering import answer

    folder = resolve_model(model)
    sys.stdout.write(answer(folder, text, image, max_new_tokens) + "\n")


SCORED = (
    "aokvqa, blink, bongard_hoi, coco_caption, flickr30k, gqa, hateful_memes, iconqa, ivqa, "
    "mmbench, mme, msrvtt_qa, msvd_qa, nextqa, nextqa_open, nlvr1, nlvr2, nocaps, okvqa, "
    "pope, raven, raven_iq, scienceqa, stvqa, textvqa, vcr, vcr_rationale, visdial, "
    "vizwiz, vqav2, vsr, websrc, winoground."
)
"""What `mmicl score` knows, said here because its modules take seconds to import."""


@app.command(rich_help_panel="Look")
def score(
    benchmark: Annotated[str, typer.Argument(help=SCORED)],
    predictions: Annotated[Path, typer.Option(help="File or folder, in the official format.")],
    references: Annotated[Path | None, typer.Option(help="File or folder, official.")] = None,
    per_item: Annotated[bool, typer.Option(help="Every question's own score as well.")] = False,
    as_json: AsJson = False,
) -> None:
    """Score any model's predictions by the official rule."""
    from mmicl.benchmarks.score import score_files

    print_object(score_files(benchmark, predictions, references, per_item=per_item), as_json)


@app.command(rich_help_panel="Look")
def compare(
    ours: Annotated[Path, typer.Argument(help="reports/predictions, or a checkout that has it.")],
    theirs: Annotated[Path, typer.Argument(help="The same of another model.")],
    as_json: AsJson = False,
) -> None:
    """Compare two models item by item, with 95 % intervals of the differences."""
    from mmicl.tracking.pairs import compare_folders

    found = compare_folders(ours, theirs)
    if as_json:
        print_object(found, as_json=True)
    else:
        print_comparison(found)


@app.command(rich_help_panel="Look")
def trace(
    model: Annotated[str, typer.Argument(help="NAME, NAME@alias or NAME/version.")],
    as_json: AsJson = False,
) -> None:
    """Walk from a registered model back to every source file's hash."""
    from mmicl.registry.trace import print_trace, trace_model

    found = trace_model(enter(checkout()), model)
    if as_json:
        print_object(found, as_json=True)
    else:
        print_trace(found)


@app.command(rich_help_panel="Look")
def summary() -> None:
    """Print the last run's summary again."""
    from mmicl.registry.summary import load_summary, print_summary

    paths = enter(checkout())
    print_summary(load_summary(paths), paths)


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


def hand_over(command: str, paths: Paths, *options: str) -> None:
    """Go on as the Prefect side, which is not part of the installed package."""
    os.chdir(paths.root)
    environment = {**os.environ, "MMICL_STATE": str(paths.state)}
    words = [sys.executable, "-m", "flows.local", command, *options]
    os.execve(sys.executable, words, environment)  # noqa: S606


def split_pairs(
    pairs: list[str], option: str = "--file", form: str = "role=path"
) -> dict[str, str]:
    """The texts of a repeatable option, each of the form `form`, as a mapping.

    Raises:
        UserError: One has no `=`, or a key is named twice.
    """
    found: dict[str, str] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not (key and equals and value) or key in found:
            raise UserError(f"not {form}: {pair!r}", where=option, remedy="give each once")
        found[key] = value
    return found


def params_file(root: Path, profile: str | None) -> Path:
    """The file of a profile, or the checkout's params.yaml."""
    from mmicl.config import find_profile

    return root / "params.yaml" if profile is None else find_profile(root, profile)


def resolve_model(model: str) -> Path:
    """The folder of a registered version, or the folder itself."""
    if Path(model).is_dir():
        return Path(model)
    from mmicl.tracking import model_folder

    return model_folder(enter(checkout()), model)


def main() -> None:
    """Run the command; an error of ours is one line and exit code 2."""
    try:
        app()
    except MmiclError as error:
        sys.stderr.write(f"mmicl: {error}\n")
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
