"""The ablation's report: reports/ablation/ with a page to look at and the figures behind it."""

import base64
from collections.abc import Mapping, Sequence
from html import escape
from io import BytesIO
from pathlib import Path
from statistics import fmean
from typing import Any

from mmicl.ablation.comparison import Comparison, Finding, Scored, compare
from mmicl.config import Ablation
from mmicl.files import replace_folder, write_json, write_text

Beside = Mapping[str, Mapping[str, Comparison]]
"""`benchmark.metric` -> variant -> it minus the grid's first variant."""
COLORS = {"holds": "#17703c", "not shown": "#777777", "reversed": "#b00020"}
WORDS = {
    "holds": "holds: the whole interval and every seed lie above zero",
    "not shown": "not shown: the interval holds zero, or a seed disagrees",
    "reversed": "reversed: the whole interval lies below zero",
    "not measured": "not measured: the two variants share no items yet",
}
HEAD = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Ablations</title><style>
body { font: 15px/1.5 sans-serif; max-width: 74rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; }
th, td { text-align: left; padding: .25rem .7rem; border-bottom: 1px solid #ddd; }
td.figure { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.holds { color: #17703c; } .reversed { color: #b00020; } img { max-width: 100%; }
</style></head><body>
"""


def write_report(
    folder: Path, ablation: Ablation, found: Sequence[Scored], findings: Sequence[Finding]
) -> None:
    """Write index.html and ablation.json, whole or not at all.

    Beside them findings.md and findings.png: the table of the claims and its plot, to be put where
    Markdown is read.

    Args:
        folder: reports/ablation.
        ablation: The grid.
        found: The variants that are measured so far.
        findings: What became of the claims.
    """
    runs = [
        {"variant": one.variant, "seed": one.seed, "benchmarks": one.benchmarks} for one in found
    ]
    told = [
        {
            "claim": one.claim.model_dump(),
            "metric": one.metric,
            **_tell(one.compared),
            "verdict": one.verdict,
            "reason": one.reason,
        }
        for one in findings
    ]
    beside = compare_with_first(ablation, found)
    value = {
        "grid": ablation.model_dump(),
        "findings": told,
        "differences": [
            {"variant": name, "metric": metric, **_tell(compared)}
            for metric, row in beside.items()
            for name, compared in row.items()
        ],
        "runs": runs,
    }
    picture = draw_findings(findings)
    page = draw_page(ablation, found, findings, beside, picture)
    with replace_folder(folder) as temporary:
        write_json(temporary / "ablation.json", value)
        write_text(temporary / "index.html", page)
        write_text(temporary / "findings.md", draw_findings_markdown(findings))
        (temporary / "findings.png").write_bytes(picture)


def _tell(compared: Comparison | None) -> dict[str, Any]:
    if compared is None:
        return {"difference": None, "by_seed": {}, "items": 0}
    return {
        "difference": compared.difference._asdict(),
        "by_seed": compared.by_seed,
        "items": compared.items,
    }


def compare_with_first(ablation: Ablation, found: Sequence[Scored]) -> Beside:
    """`benchmark.metric` of the headlines -> variant -> it minus the grid's first variant."""
    first, *others = ablation.variants
    keys = dict.fromkeys(key for one in found for key in read_headlines(one.benchmarks))
    rows = {
        key: {
            name: compared
            for name in others
            if (compared := compare(name, first, key, found)) is not None
        }
        for key in keys
    }
    return {key: row for key, row in rows.items() if row}


def draw_page(
    ablation: Ablation,
    found: Sequence[Scored],
    findings: Sequence[Finding],
    beside: Beside,
    picture: bytes,
) -> str:
    """The page as HTML, without scripts or the net."""
    done, wanted = len(found), len(ablation.variants) * len(ablation.seeds)
    seeds = ", ".join(str(seed) for seed in ablation.seeds)
    lines = [
        HEAD,
        "<h1>Ablations</h1>",
        f"<p>{done} of {wanted} runs: {len(ablation.variants)} variants, seeds {seeds}. "
        "Differences are paired over the same items, in points, with 95 % intervals over groups "
        "of items that share a picture. The grid stood in params.yaml before the first run.</p>",
        "<h2>What the paper claims, and what came out</h2>",
    ]
    encoded = base64.b64encode(picture).decode("ascii")
    lines.append(f'<img alt="Differences" src="data:image/png;base64,{encoded}">')
    lines += _draw_findings_table(findings)
    lines += [
        f'<p class="{verdict.replace(" ", "-")}">{escape(text)}</p>'
        for verdict, text in WORDS.items()
    ]
    lines += _draw_differences(ablation, beside)
    lines += [
        "<h2>All scores</h2>",
        "<p>Means over the seeds, and from the lowest to the highest.</p>",
        *_draw_scores(ablation, found),
        "</body></html>",
    ]
    return "\n".join(lines) + "\n"


def draw_findings(findings: Sequence[Finding]) -> bytes:
    """A forest plot of the differences that were measured, as PNG; small dots are seeds."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    measured = [(one, one.compared) for one in findings if one.compared]
    figure, axes = plt.subplots(figsize=(10, 1 + 0.34 * len(measured)), layout="constrained")
    labels = []
    for place, (one, compared) in enumerate(measured):
        (low, mean, high), color = compared.difference, COLORS[one.verdict]
        axes.plot([low, high], [place, place], color=color, linewidth=3)
        seeds = list(compared.by_seed.values())
        axes.plot(seeds, [place] * len(seeds), "o", color=color, markersize=3)
        axes.plot(mean, place, "D", color=color)
        labels.append(f"{one.claim.better} - {one.claim.worse}: {one.metric}")
    axes.axvline(0, color="black", linewidth=1)
    axes.set_yticks(range(len(labels)), labels, fontsize=8)
    axes.invert_yaxis()
    axes.set_xlabel("difference in points, 95 % interval; dots are seeds")
    axes.spines[["top", "right"]].set_visible(False)
    image = BytesIO()
    figure.savefig(image, format="png", dpi=110, metadata={"Software": None})
    plt.close(figure)
    return image.getvalue()


HEADS = ("claim", "better", "worse", "metric", "difference", "by seed", "paper", "came out",
         "what the figures tell of it")  # fmt: skip


def _write_cells(one: Finding) -> tuple[str, ...]:
    """What the table says of a finding, under `HEADS`."""
    shown = "-" if one.compared is None else one.compared.difference.write()
    seeds = () if one.compared is None else one.compared.by_seed.values()
    published = one.claim.published.get(one.metric)
    return (
        one.claim.text, one.claim.better, one.claim.worse, one.metric, shown,
        ", ".join(f"{value:+.1f}" for value in seeds),
        "-" if published is None else f"{published:+.1f}", one.verdict, one.reason,
    )  # fmt: skip


def draw_findings_markdown(findings: Sequence[Finding]) -> str:
    """The table of the claims in Markdown."""
    rows = [HEADS, ["---"] * len(HEADS), *map(_write_cells, findings)]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _draw_findings_table(findings: Sequence[Finding]) -> list[str]:
    lines = ["<table><tr>" + "".join(f"<th>{head}</th>" for head in HEADS) + "</tr>"]
    for one in findings:
        cells = []
        for head, text in zip(HEADS, _write_cells(one), strict=True):
            kind = "figure" if head in ("difference", "by seed", "paper") else ""
            kind = one.verdict.replace(" ", "-") if head == "came out" else kind
            cells.append(
                f'<td class="{kind}">{escape(text)}</td>' if kind else f"<td>{escape(text)}</td>"
            )
        lines.append(f"<tr>{''.join(cells)}</tr>")
    return [*lines, "</table>"]


def _draw_differences(ablation: Ablation, rows: Beside) -> list[str]:
    """Every variant minus the first one, on every headline."""
    first, *others = ablation.variants
    names = [name for name in others if any(name in row for row in rows.values())]
    if not names:
        return []
    lines = [
        f"<h2>Every variant beside {escape(first)}</h2>",
        f"<p>Its score minus that of {escape(first)}, paired; in bold where the interval leaves "
        "zero out. Of so many, one in twenty is bold by accident.</p>",
        "<table><tr><th>score</th>" + "".join(f"<th>{escape(name)}</th>" for name in names),
    ]
    for key, row in rows.items():
        cells = []
        for name in names:
            compared = row.get(name)
            shown = "-" if compared is None else compared.difference.write()
            if compared is not None and compared.difference.clear:
                shown = f"<b>{shown}</b>"
            cells.append(f'<td class="figure">{shown}</td>')
        lines.append(f"<tr><td>{escape(key)}</td>{''.join(cells)}</tr>")
    return [*lines, "</table>"]


def _draw_scores(ablation: Ablation, found: Sequence[Scored]) -> list[str]:
    """Headline scores of every variant: the mean over its seeds, and their range."""
    values = collect_scores(found)
    keys = list(dict.fromkeys(key for one in values.values() for key in one))
    names = [name for name in ablation.variants if name in values]
    head = "".join(f"<th>{escape(name)}</th>" for name in names)
    lines = [f"<table><tr><th>score</th>{head}</tr>"]
    for key in keys:
        cells = []
        for name in names:
            own = values[name].get(key, [])
            text = "-" if not own else f"{fmean(own):.1f}"
            if len(own) > 1:
                text += f" ({min(own):.1f} to {max(own):.1f})"
            cells.append(f'<td class="figure">{text}</td>')
        lines.append(f"<tr><td>{escape(key)}</td>{''.join(cells)}</tr>")
    return [*lines, "</table>"]


def collect_scores(found: Sequence[Scored]) -> dict[str, dict[str, list[float]]]:
    """Variant -> `benchmark.metric` of the headlines -> its value under each seed, in points."""
    values: dict[str, dict[str, list[float]]] = {}
    for one in found:
        own = values.setdefault(one.variant, {})
        for key, value in read_headlines(one.benchmarks).items():
            own.setdefault(key, []).append(value)
    return values


def read_headlines(benchmarks: Mapping[str, Any]) -> dict[str, float]:
    """`benchmark.metric` of the headlines -> value in points."""
    return {
        f"{name}.{metric}": result["metrics"][metric]["value"]
        for name, result in benchmarks.items()
        for metric in result["headline"]
        if metric in result["metrics"]
    }
