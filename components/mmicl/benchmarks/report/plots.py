"""The report's pictures as SVG text; equal figures give equal bytes."""

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from mmicl.benchmarks.report.calibration import Calibration
from mmicl.benchmarks.report.scores import Score

if TYPE_CHECKING:
    from matplotlib.figure import Figure

OURS, CONTROL, GRID = "#1f5fa8", "#b5651d", "#cccccc"
WIDTH = 8.0
"""Inches; the page scales a picture to its column."""
ROW = 0.32


def draw_bars(scores: Sequence[Score]) -> str:
    """Scores as bars with their 95 % intervals; a mark at the best control, a dot at chance."""
    figure = _start(WIDTH, 0.75 + ROW * len(scores))
    axes = figure.add_subplot()
    for place, score in enumerate(scores):
        axes.barh(place, score.value, color=OURS, alpha=0.55, height=0.6)
        axes.plot([score.low, score.high], [place, place], color=OURS, linewidth=2)
        if score.best is not None:
            axes.plot([score.best.value] * 2, [place - 0.38, place + 0.38], color=CONTROL,
                      linewidth=2.5)  # fmt: skip
        if score.chance is not None:
            axes.plot(score.chance, place, "o", color="black", markersize=4)
    axes.set_yticks(range(len(scores)), [score.label for score in scores])
    axes.invert_yaxis()
    axes.set_xlim(0, max(100.0, *(score.high for score in scores)))
    axes.grid(axis="x", color=GRID, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    return _write(figure)


def draw_radar(scores: Sequence[Score]) -> str:
    """Shares of 0 to 100 round a circle, beside the best control of each."""
    import numpy as np

    figure = _start(WIDTH, 5.4)
    axes = figure.add_subplot(projection="polar")
    angles = np.linspace(0, 2 * np.pi, len(scores), endpoint=False)
    for color, values in (
        (OURS, [score.value for score in scores]),
        (CONTROL, [score.best.value if score.best else 0.0 for score in scores]),
    ):
        axes.plot([*angles, angles[0]], [*values, values[0]], color=color, linewidth=2)
        axes.fill(angles, values, color=color, alpha=0.15)
    axes.set_xticks(angles, [score.label for score in scores])
    axes.tick_params(axis="x", pad=12)
    axes.set_ylim(0, 100)
    axes.set_yticks([25, 50, 75], ["25", "50", "75"], color="#777777")
    axes.grid(color=GRID, linewidth=0.6)
    return _write(figure)


def draw_reliability(found: Mapping[str, Calibration]) -> str:
    """The share of yes over the probability of yes, a line a benchmark; dots grow with counts."""
    figure = _start(WIDTH, 4.2)
    axes = figure.add_subplot()
    axes.plot([0, 1], [0, 1], color=GRID, linewidth=1.5, linestyle="--")
    for name, one in found.items():
        predicted = [bin_.predicted for bin_ in one.bins]
        observed = [bin_.observed for bin_ in one.bins]
        (line,) = axes.plot(predicted, observed, linewidth=1.5, label=name)
        sizes = [12 + 200 * bin_.count / one.n for bin_ in one.bins]
        axes.scatter(predicted, observed, s=sizes, color=line.get_color())
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(-0.05, 1.05)
    axes.set_xlabel("probability of yes")
    axes.set_ylabel("share where yes is right")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1.01, 0.5))
    return _write(figure)


def _start(width: float, height: float) -> "Figure":
    """An empty figure of inches; no window system is asked for one."""
    from matplotlib.figure import Figure

    return Figure((width, height), layout="constrained")


def _write(figure: "Figure") -> str:
    """The figure as an element of a page: text stays text, ids depend on the drawing alone."""
    from matplotlib import rc_context

    stream = io.StringIO()
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "mmicl", "font.family": "sans-serif"}):
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(stream, format="svg", metadata=nothing)
    text = stream.getvalue()
    return text[text.index("<svg") :]
