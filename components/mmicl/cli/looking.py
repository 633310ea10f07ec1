"""Commands that look at data, models and scores."""

import contextlib
import sys
from pathlib import Path
from typing import Annotated
from urllib.parse import urlencode

import typer

from mmicl.cli.application import AsJson, Overrides, Profile, app, checkout, enter, split_pairs
from mmicl.paths import Paths
from mmicl.printing import console, print_comparison, print_object

BROWSE_PORT = 4300
SCORED = (
    "aokvqa, blink, bongard_hoi, coco_caption, flickr30k, gqa, hateful_memes, iconqa, ivqa, "
    "mmbench, mme, msrvtt_qa, msvd_qa, nextqa, nextqa_open, nlvr1, nlvr2, nocaps, okvqa, "
    "pope, raven, raven_iq, scienceqa, stvqa, textvqa, vcr, vcr_rationale, visdial, "
    "vizwiz, vqav2, vsr, websrc, winoground."
)
"""What `mmicl score` knows, said here because its modules take seconds to import."""


@app.command(rich_help_panel="Look")
def ingest(
    dataset: Annotated[str, typer.Argument(help="A reader: coco_caption, vqav2, vcr, …")],
    source: Annotated[
        str, typer.Option(help="world://…, a folder, alias://, s3://, https://, hf://.")
    ],
    out: Annotated[Path, typer.Option(help="Folder to write, new or empty.")],
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
        query = urlencode(choice.fields())
        console.print(f"{address}{query and '?'}{query}  (Ctrl-C ends)", soft_wrap=True)
        server.serve_forever()


@app.command(rich_help_panel="Look")
def predict(
    model: Annotated[str, typer.Argument(help="NAME, NAME@alias, NAME/version, or a folder.")],
    text: Annotated[str, typer.Argument(help="A prompt that names its images: …<image0>…")],
    image: Annotated[list[Path], typer.Option("--image", help="In order; repeatable.")],
    max_new_tokens: Annotated[int, typer.Option(min=1)] = 32,
) -> None:
    """Ask a model about one or several pictures."""
    from mmicl.model.answering import answer

    folder = resolve_model(model)
    sys.stdout.write(answer(folder, text, image, max_new_tokens) + "\n")


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


def resolve_model(model: str) -> Path:
    """The folder of a registered version, or the folder itself."""
    if Path(model).is_dir():
        return Path(model)
    from mmicl.tracking import model_folder

    return model_folder(enter(checkout()), model)
