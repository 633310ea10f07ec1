"""The report of an evaluation as MLflow keeps it: with the champion, which no stage knows of."""

from collections.abc import Mapping
from html import escape
from typing import Any

from mmicl.tracking.champion import Entrant

MARK = "<!-- champion -->"
"""Where the page that the stage evaluate wrote takes the champion."""
Benchmarks = Mapping[str, Any]
"""benchmark -> its part of reports/scores.json."""


def add_champion(page: str, ours: Benchmarks, why: str, champion: Entrant | None) -> str:
    """The page with the champion beside the headline scores.

    Args:
        page: reports/evaluation.html.
        ours: The scores that it shows.
        why: Why this version is, or is not, the champion.
        champion: None where there is none, or where it is this version.
    """
    lines = ["<h3>Champion</h3>", f"<p>{escape(why)}</p>"]
    rows = _compare(ours, champion.scores) if champion and champion.scores else []
    if champion and rows:
        lines += [
            '<table><tr><th>benchmark</th><th>metric</th><th class="figure">here</th>'
            f'<th class="figure">{escape(champion.name)}</th>'
            '<th class="figure">difference</th></tr>',
            *rows,
            "</table>",
        ]
    return page.replace(MARK, "\n".join(lines))


def _compare(ours: Benchmarks, theirs: Benchmarks) -> list[str]:
    """Headline scores that both have, by the same version of the benchmark."""
    return [
        f"<tr><td>{escape(name)}</td><td>{escape(metric)}</td>"
        f'<td class="figure">{here:.1f}</td><td class="figure">{there:.1f}</td>'
        f'<td class="figure">{here - there:+.1f}</td></tr>'
        for name, result in ours.items()
        if name in theirs and theirs[name]["version"] == result["version"]
        for metric in result["headline"]
        if metric in result["metrics"] and metric in theirs[name]["metrics"]
        for here, there in [
            (one["metrics"][metric]["value"] for one in (result, theirs[name])),
        ]
    ]
