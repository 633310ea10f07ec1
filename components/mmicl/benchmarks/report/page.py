"""reports/evaluation.html: scores beside their controls, plots, calibration, items to look at.

It holds nothing but what the answers say: no times, no ids of runs, and no champion, which is none
of the stage's inputs. Tracking may add one: at the mark `CHAMPION`, and in the cells that carry the
attribute `CHAMPION_CELL`, benchmark.metric.
"""

from collections.abc import Mapping, Sequence
from html import escape
from itertools import groupby
from pathlib import Path

from mmicl.benchmarks.benchmark import Benchmark
from mmicl.benchmarks.report.calibration import Calibration, calibrate, read_probabilities
from mmicl.benchmarks.report.gallery import draw_gallery
from mmicl.benchmarks.report.plots import draw_bars, draw_radar, draw_reliability
from mmicl.benchmarks.report.scores import Score, list_scores
from mmicl.benchmarks.runner import Result
from mmicl.files import write_text
from mmicl.images.store import ImageStore

HEAD = Path(__file__).with_name("page.html")
CHAMPION, CHAMPION_CELL = "<!-- champion -->", "data-champion"
CONTROLS = {
    "chance": "chance", "majority": "majority answer", "blank": "images blank",
    "shuffled": "images shuffled", "text_only": "text only",
}  # fmt: skip
RADAR_AT_LEAST = 3


def write_report(
    path: Path,
    results: Mapping[str, Result],
    declared: Mapping[str, Benchmark],
    images: ImageStore,
    seed: int,
) -> None:
    """Write the page, whole or not at all; equal results give equal bytes.

    Args:
        path: reports/evaluation.html.
        results: By name of params `evaluate.benchmarks`.
        declared: The same names -> what each benchmark declares.
        images: Every picture that was shown.
        seed: Of the random draws.

    Raises:
        DataError: A picture is missing.
    """
    scores = list_scores(results, declared)
    found = {
        name: calibrate(*pairs)
        for name, result in results.items()
        if (pairs := read_probabilities(result.answers))[0]
    }
    lines = [
        HEAD.read_text(encoding="utf-8"),
        '<nav><a href="#scores">Scores</a><a href="#plots">Plots</a>'
        '<a href="#calibration">Calibration</a><a href="#published">Published</a>'
        '<a href="#items">Items</a></nav><h1>Evaluation</h1>',
        '<h2 id="scores">Scores</h2>', *_draw_scores(scores), CHAMPION, *_list_missing(results),
        '<h2 id="plots">By category</h2>', *_draw_plots(scores),
        '<h2 id="calibration">Calibration of yes and no</h2>', *_draw_calibration(found),
        '<h2 id="published">Published figures</h2>', *_draw_published(scores),
        '<h2 id="items">Items</h2>', *_link_items(results),
    ]  # fmt: skip
    for name, result in sorted(results.items()):
        lines += draw_gallery(name, result, images, seed)
    write_text(path, "\n".join([*lines, "</body></html>"]) + "\n")


def _draw_scores(scores: Sequence[Score]) -> list[str]:
    """Every score with its interval beside all controls, the champion and what was published."""
    asked = {"chance", *(name for score in scores for name in score.controls)}
    controls = [name for name in CONTROLS if name in asked]
    heads = (*(CONTROLS[name] for name in controls), "lead", "champion", "published", "shots", "n")
    lines = [
        "<p>In points, 100 where all is right of what is a share, with 95 % intervals over groups "
        "of items that share a picture. A score counts from its best control up, which is set in "
        "bold; <i>lead</i> is the interval's lower bound minus that control. Chance is worked out, "
        "not drawn. Headline scores are shaded. Where worked examples were drawn several times, "
        "all is of the first draw but for the mean and the standard deviation over them. "
        "<i>champion</i> is filled in only in the copy of this page among the MLflow artifacts of "
        "the pipeline's run; reports/evaluation.html, whose stage knows no champion, has none. "
        "<i>published</i> is the best of MMICL's own models with as many shots, of the official "
        'test set; with a ? it is not verified (<a href="#published">all figures</a>).</p>',
        '<table class="scores"><tr><th>benchmark</th><th>metric</th><th class="figure">score</th>'
        + "".join(f'<th class="figure">{words}</th>' for words in heads)
        + "</tr>",
    ]
    for category, members in groupby(scores, key=lambda score: score.category):
        wide = 3 + len(heads)
        lines.append(f'<tr class="category"><th colspan="{wide}">{escape(category)}</th></tr>')
        lines += [_draw_row(score, controls) for score in members]
    return [*lines, "</table>"]


def _list_missing(results: Mapping[str, Result]) -> list[str]:
    """Figures that could not be computed, and what they need."""
    return [
        f'<p class="note">{escape(name)}: {escape(figures)} not computed: {escape(needs)}</p>'
        for name, result in sorted(results.items())
        for figures, needs in result.report.get("not_computed", {}).items()
    ]


def _draw_row(score: Score, controls: Sequence[str]) -> str:
    known = {"chance": score.chance, **score.controls}
    cells = ""
    for name in controls:
        value = known.get(name)
        best = score.best is not None and score.best.name == name
        shown = "-" if value is None else f"{value:.1f}"
        cells += f'<td class="figure{" best" if best else ""}">{shown}</td>'
    lead, side = "-", ""
    if score.lead is not None:
        lead, side = f"{score.lead:+.1f}", " ahead" if score.lead > 0 else " behind"
    row = ' class="headline"' if score.headline else ""
    shown = f"{score.value:.1f} [{score.low:.1f}, {score.high:.1f}]"
    if score.draws:
        mean, deviation = score.draws["mean"], score.draws["deviation"]
        shown += f"<br>{mean:.1f} ± {deviation:.1f} over {len(score.draws['values'])} draws"
    key = escape(f"{score.benchmark}.{score.metric}")
    return (
        f"<tr{row}><td>{escape(score.benchmark)}</td><td>{escape(score.metric)}</td>"
        f'<td class="figure">{shown}</td>{cells}<td class="figure{side}">{lead}</td>'
        f'<td class="figure" {CHAMPION_CELL}="{key}">-</td>{_draw_nearest(score)}'
        f'<td class="figure">{score.shots}</td><td class="figure">{score.n}</td></tr>'
    )


def _draw_nearest(score: Score) -> str:
    if (one := score.nearest) is None:
        return '<td class="figure">-</td>'
    told = escape(", ".join(filter(None, (one.system, one.source, one.note))))
    doubt = "" if one.verified else "?"
    return f'<td class="figure" title="{told}">{one.value:.1f}{doubt}</td>'


def _draw_plots(scores: Sequence[Score]) -> list[str]:
    """A picture a category, then the radar."""
    shown = [score for score in scores if score.headline and score.ranked]
    lines = [
        '<p class="note">Headline scores; the thin line is the interval, the upright mark the best '
        'control, the dot chance.</p><div class="plots">'
    ]
    for category, members in groupby(shown, key=lambda score: score.category):
        picture = draw_bars(list(members))
        lines.append(f"<figure><figcaption>{escape(category)}</figcaption>{picture}</figure>")
    first = {score.benchmark: score for score in reversed(shown)}
    whole = [score for score in reversed(first.values()) if max(score.value, score.high) <= 100]
    if len(whole) >= RADAR_AT_LEAST:
        left_out = sorted(set(first) - {score.benchmark for score in whole})
        note = f" (without {', '.join(left_out)}: above 100)" if left_out else ""
        lines.append(
            "<figure><figcaption>First headline score of each benchmark, beside its best control"
            f"{escape(note)}</figcaption>{draw_radar(whole)}</figure>"
        )
    return [*lines, "</div>"]


def _draw_calibration(found: Mapping[str, Calibration]) -> list[str]:
    if not found:
        return ["<p>No benchmark asked for a probability of yes.</p>"]
    lines = [
        "<p>How often yes is right where the model gives it that probability, of yes and no "
        "alone. On the dashed line it means what it says. ECE is the mean distance from it, in "
        'points, over ten bins weighted by size.</p><div class="plots"><figure>',
        draw_reliability(found),
        '</figure><table><tr><th>benchmark</th><th class="figure">ECE</th>'
        '<th class="figure">questions</th></tr>',
    ]
    lines += [
        f'<tr><td>{escape(name)}</td><td class="figure">{one.error:.1f}</td>'
        f'<td class="figure">{one.n}</td></tr>'
        for name, one in sorted(found.items())
    ]
    return [*lines, "</table></div>"]


def _draw_published(scores: Sequence[Score]) -> list[str]:
    """What others report on the metrics that were measured here, with as many worked examples."""
    rows = [
        f"<tr><td>{escape(score.benchmark)}</td><td>{escape(score.metric)}</td>"
        f'<td class="figure">{score.shots}</td><td class="figure">{score.value:.1f}</td>'
        f'<td class="figure">{one.value:.2f}</td><td>{escape(one.system)}</td>'
        f"<td>{escape(one.source)}</td><td>{'yes' if one.verified else 'no'}</td>"
        f"<td>{escape(one.note)}</td></tr>"
        for score in scores
        for one in score.published
    ]
    if not rows:
        return ["<p>None for these metrics and shots.</p>"]
    return [
        "<p>Of the official test sets: beside a score here they mean something only where its "
        "dataset is that set, whole. Only figures with as many worked examples (shots) are set "
        "beside a score. Those not verified were not checked against the source's own table. "
        "InstructBLIP's figures are of its own protocol, in which the Q-Former reads the "
        "instruction: an InstructBLIP checkpoint is asked so where model.instruct_qformer is true, "
        "and as MMICL asks it, without, where it is not.</p>",
        '<table><tr><th>benchmark</th><th>metric</th><th class="figure">shots</th>'
        '<th class="figure">here</th><th class="figure">published</th><th>system</th>'
        "<th>source</th><th>verified</th><th>note</th></tr>",
        *rows,
        "</table>",
    ]


def _link_items(results: Mapping[str, Result]) -> list[str]:
    links = (f'<a href="#items-{escape(name)}">{escape(name)}</a>' for name in sorted(results))
    return [
        "<p>Of each benchmark the worst mistakes (the less an item earned, then the surer the "
        f"model) and a seeded random draw.</p><p>{' · '.join(links)}</p>"
    ]
