"""What a run came to, for a person and for programs: reports/summary.json and its printed form."""

import shlex
import sys
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from rich.console import Console
from rich.table import Table
from rich.text import Text

from mmicl.config import Config
from mmicl.errors import DataError
from mmicl.files import read_json, write_json
from mmicl.paths import Paths
from mmicl.registry.card import describe_gate, format_score
from mmicl.registry.gates import find_best_control, find_lead, list_controls
from mmicl.tracking import Registered

_KEYS = {"profile", "stages", "scores", "controls", "headlines", "gates", "model", "champion"}
PREFECT_PORT, MLFLOW_PORT = 4200, 5000


class Brought(Protocol):
    """A stage that was brought up to date."""

    @property
    def name(self) -> str:
        """DVC's name of the stage."""
        ...

    @property
    def status(self) -> str:
        """`ran`, `restored`, `up-to-date` or `failed`."""
        ...

    @property
    def seconds(self) -> float:
        """How long it took."""
        ...


def write_summary(
    paths: Paths, config: Config, stages: Iterable[Brought], registered: Registered
) -> dict[str, Any]:
    """Write reports/summary.json and return it.

    Scores are in points of 0-100 where the metric is a share; `chance` is null where guessing has
    no defined score. Scores that present params, data and code did not make are left out.

    Args:
        paths: The checkout.
        config: Its params.
        stages: Every stage of the run, in order.
        registered: What `tracking.sync` returned.
    """
    scored = paths.scores.exists() and "evaluate" not in registered.stale
    judged = paths.gates.exists() and "register" not in registered.stale
    scores = read_json(paths.scores)["benchmarks"] if scored else {}
    measured = [
        (benchmark, metric, result["n"], found)
        for benchmark, result in scores.items()
        for metric, found in result["metrics"].items()
    ]
    keys = ("value", "low", "high", "chance")
    summary = {
        "profile": config.profile,
        "stages": [
            {"name": stage.name, "status": stage.status, "seconds": round(stage.seconds, 1)}
            for stage in stages
        ],
        "scores": [
            {"benchmark": benchmark, "metric": metric, "n": n, **{key: found[key] for key in keys}}
            for benchmark, metric, n, found in measured
        ],
        "controls": {
            f"{benchmark}.{metric}": list_controls(found)
            for benchmark, metric, _, found in measured
        },
        "headlines": {benchmark: result["headline"] for benchmark, result in scores.items()},
        "gates": read_json(paths.gates)["gates"] if judged else {},
        "model": {
            "name": registered.name,
            "version": registered.version,
            "aliases": list(registered.aliases),
        },
        "champion": registered.champion,
    }
    write_json(paths.summary, summary)
    return summary


def load_summary(paths: Paths) -> dict[str, Any]:
    """Read reports/summary.json.

    Raises:
        DataError: There is none, or it is not a summary.
    """
    summary = read_json(paths.summary)
    if missing := _KEYS - set(summary):
        raise DataError(
            f"no summary of a run: {', '.join(sorted(missing))} missing",
            where=paths.summary,
            remedy="delete it and run mmicl run",
        )
    return summary


def print_summary(summary: Mapping[str, Any], paths: Paths, console: Console | None = None) -> None:
    """Print a summary for a person: stages, scores beside their controls, model, what to open."""
    console = console or Console()
    console.print(f"\n[bold]mmicl[/bold], profile {summary['profile']}\n")
    console.print(_draw_stages(summary["stages"]))
    if summary["scores"]:
        console.print(_draw_scores(summary))
        console.print("* best control; lead: lower bound minus best control", style="dim")
    _print_model(summary, console)
    console.print("\nLook at it:")
    for what, command in list_commands(paths).items():
        # Written without wrapping, so that a person can copy it.
        console.print(Text(f"  {what:11} {command}"), soft_wrap=True)


def list_commands(paths: Paths) -> dict[str, str]:
    """What opens Prefect's UI, MLflow's UI and the Data Docs, as lines for a shell."""
    model = load_summary(paths)["model"]
    version = f"/{model['version']}" if model["version"] else ""
    site = (paths.data_docs / "index.html").as_uri()
    return {
        "Prefect UI": f"make up    # then http://127.0.0.1:{PREFECT_PORT}",
        "MLflow UI": f"make up    # then http://127.0.0.1:{MLFLOW_PORT}",
        "Data Docs": shlex.join([sys.executable, "-m", "webbrowser", "-t", site]),
        "lineage": f"mmicl trace {model['name']}{version}",
    }


def _draw_stages(stages: Iterable[Mapping[str, Any]]) -> Table:
    table = Table(box=None, header_style="bold")
    table.add_column("stage")
    table.add_column("")
    table.add_column("seconds", justify="right")
    total = 0.0
    for stage in stages:
        total += stage["seconds"]
        style = {"failed": "red", "ran": "green"}.get(stage["status"], "")
        words = str(stage["status"]).replace("-", " ")
        table.add_row(stage["name"], Text(words, style), f"{stage['seconds']:.1f}")
    table.add_row("total", "", f"{total:.1f}", style="bold")
    return table


def _draw_scores(summary: Mapping[str, Any]) -> Table:
    """Each headline score beside its controls, the best of them marked, and its lead over it."""
    heads = {
        "chance": "\nchance",
        "majority": "majority\nanswer",
        "blank": "images\nblank",
        "shuffled": "images\nshuffled",
        "text_only": "text\nonly",
    }
    known = {name for controls in summary["controls"].values() for name in controls}
    heads = {name: head for name, head in heads.items() if name != "text_only" or name in known}
    # Narrow, so that a line fits a terminal of 80 columns.
    table = Table(box=None, header_style="bold", padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("\nscore")
    for head in ("\nvalue [95 %]", *heads.values(), "\nlead", "\nn"):
        table.add_column(head, justify="right")
    for score in summary["scores"]:
        benchmark, metric = score["benchmark"], score["metric"]
        if metric not in summary["headlines"][benchmark]:
            continue
        controls = summary["controls"][f"{benchmark}.{metric}"]
        measured = {**score, "controls": controls}
        lead, best = find_lead(metric, measured), find_best_control(measured)
        marked = best[0] if best is not None and lead is not None else None
        cells = [
            f"{controls[name]:.1f}{'*' if name == marked else ''}" if name in controls else "-"
            for name in heads
        ]
        style = "" if lead is None else "green" if lead > 0 else "red"
        shown = Text("-" if lead is None else f"{lead:+.1f}", style)
        table.add_row(f"{benchmark} {metric}", format_score(score), *cells, shown, str(score["n"]))
    return table


def _print_model(summary: Mapping[str, Any], console: Console) -> None:
    model = summary["model"]
    if model["version"] is None:
        console.print(f"\nModel {model['name']}: no version is registered.")
        return
    aliases = ", ".join(model["aliases"]) or "none"
    console.print(
        f"\nModel [bold]{model['name']}[/bold] version {model['version']}, aliases: {aliases}"
    )
    for key, gate in summary["gates"].items():
        console.print(f"  gate {describe_gate(key, gate)}", highlight=False)
    console.print(f"  {summary['champion']}", highlight=False)
