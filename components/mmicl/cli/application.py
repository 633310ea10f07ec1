"""The application and what its commands share: where they are, and how they hand over."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from mmicl.errors import UserError
from mmicl.paths import Paths

app = typer.Typer(
    name="mmicl",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="Train vision-language models that learn from several images in context.",
)

Profile = Annotated[
    str | None, typer.Option("--profile", help="A file of profiles/, in a workspace of its own.")
]
Overrides = Annotated[
    list[str] | None, typer.Option("--set", help="key=value over the profile; repeatable.")
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")]


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
