"""Commands over what people decide: params.yaml and the instruction bank."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from mmicl.cli.application import app, checkout, enter
from mmicl.printing import console

params_app = typer.Typer(no_args_is_help=True, help="Show or replace params.yaml.")
app.add_typer(params_app, name="params", rich_help_panel="Configure")


@params_app.command("show")
def show_params(
    profile: Annotated[
        str | None, typer.Argument(help="A profile; the checkout's if left out.")
    ] = None,
) -> None:
    """Check and print a complete configuration."""
    from mmicl.config import load_config
    from mmicl.known import check_names

    path = params_file(checkout(), profile)
    check_names(load_config(path))
    sys.stdout.write(path.read_text(encoding="utf-8"))


@params_app.command("use")
def use_params(profile: Annotated[str, typer.Argument(help="A file of profiles/.")]) -> None:
    """Write a profile into params.yaml, visibly in git."""
    from mmicl.config import load_config
    from mmicl.files import write_text
    from mmicl.known import check_names

    root = checkout()
    path = params_file(root, profile)
    check_names(load_config(path))
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


def params_file(root: Path, profile: str | None) -> Path:
    """The file of a profile, or the checkout's params.yaml."""
    from mmicl.config import find_profile

    return root / "params.yaml" if profile is None else find_profile(root, profile)
