"""What commands print: tables for a person, JSON for a program."""

import json
import sys
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from mmicl.paths import Paths

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mmicl.config import Config

console = Console()


def print_estimate(config: "Config", paths: Paths) -> None:
    """What a big profile needs, with the assumptions behind the figures."""
    from mmicl.launch.estimate import describe

    table = Table(box=None, show_header=False)
    for key, value in describe(config).items():
        table.add_row(key, value)
    console.print(f"[bold]{config.profile}[/bold] (estimated, not measured)")
    console.print(table)
    print_paraphrasing(config, paths)


def print_paraphrasing(config: "Config", paths: Paths) -> None:
    """What the stage augment would pay an endpoint; nothing where none is set."""
    from mmicl.augment.bill import describe_plan

    if line := describe_plan(config.augment, paths.cache("paraphrases")):
        console.print(f"paraphrases by {line}")


def show_progress() -> Progress:
    """A bar on standard error: how much is done of how much, time gone and time left."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )


def print_object(value: dict[str, Any], as_json: bool) -> None:
    """A JSON object on standard output, or a table for a person."""
    if as_json:
        sys.stdout.write(json.dumps(value, ensure_ascii=False) + "\n")
        return
    table = Table(box=None, show_header=False)
    for key, item in _flatten(value):
        table.add_row(key, f"{item:.4f}" if isinstance(item, float) else str(item))
    console.print(table)


def print_comparison(found: "Mapping[str, Mapping[str, float | None]]") -> None:
    """Two models on each metric, and their paired difference in points or why there is none."""
    from mmicl.tracking.pairs import Difference

    table = Table("score", "items", "ours", "theirs", "ours - theirs [95 %]", box=None)
    for metric, told in found.items():
        low, mean, high = (told[name] for name in Difference._fields)
        lacking = [name for name in ("ours", "theirs") if told[name] is None]
        if lacking:
            shown = f"not compared: not in {lacking[0]}"
        elif low is None or mean is None or high is None:
            shown = "not compared: other items"
        else:
            difference = Difference(low, mean, high)
            shown = escape(difference.write())
            shown = f"[bold]{shown}[/bold]" if difference.clear else shown
        means = ("-" if name in lacking else f"{told[name]:.1f}" for name in ("ours", "theirs"))
        table.add_row(metric, f"{told['items']:.0f}", *means, shown)
    console.print(table)


def _flatten(value: dict[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    rows: list[tuple[str, Any]] = []
    for key, item in value.items():
        name = f"{prefix}{key}"
        rows += _flatten(item, f"{name}.") if isinstance(item, dict) else [(name, item)]
    return rows
