"""The report of an evaluation as MLflow keeps it: with the champion, which no stage knows of."""

import re
from collections.abc import Mapping
from html import escape, unescape
from typing import Any

from mmicl.tracking.champion import Entrant

MARK, CELL = "<!-- champion -->", "data-champion"
"""Where the page that the stage evaluate wrote takes the champion: a place for words, and the
attribute of the cells that take its scores, `benchmark.metric`."""
Benchmarks = Mapping[str, Any]
"""benchmark -> its part of reports/scores.json."""
_EMPTY = re.compile(rf'({CELL}="([^"]*)">)-(?=</td>)')


def add_champion(page: str, ours: Benchmarks, why: str, champion: Entrant | None) -> str:
    """The page with the champion's scores in their cells.

    A score stays empty where the champion has none by the same version of the benchmark.

    Args:
        page: reports/evaluation.html.
        ours: The scores that it shows.
        why: Why this version is, or is not, the champion.
        champion: None where there is none, or where it is this version.
    """
    words = f"<p>{escape(why)}</p>"
    scores = _compare(ours, champion.scores) if champion and champion.scores else {}
    if champion and scores:
        words += (
            f"<p>The champion is {escape(champion.name)}; in brackets, how far this version lies "
            "above it.</p>"
        )

    def fill(cell: re.Match[str]) -> str:
        return cell[1] + scores.get(unescape(cell[2]), "-")

    return _EMPTY.sub(fill, page.replace(MARK, words))


def _compare(ours: Benchmarks, theirs: Benchmarks) -> dict[str, str]:
    """What goes into the cells, by `benchmark.metric`: the champion's score, and ours above it."""
    return {
        f"{name}.{metric}": f"{there:.1f} ({found['value'] - there:+.1f})"
        for name, result in ours.items()
        if name in theirs and theirs[name]["version"] == result["version"]
        for metric, found in result["metrics"].items()
        if metric in theirs[name]["metrics"]
        for there in [theirs[name]["metrics"][metric]["value"]]
    }
