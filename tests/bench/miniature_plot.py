"""The picture of the study: scores beside their controls, and what each stage adds."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from miniature_tables import STAGES, WHOLE, Key, Pooled, Run, pool_variant, share_seeds

from mmicl.registry.gates import UNRANKED

mpl.use("Agg")
import matplotlib.pyplot as plt

GREY, COLOURS = "#b8b8b8", ("#d9d9d9", "#8fb8de", "#f2b36b", "#2c5f8a")
TITLES = (
    "Both stages trained (bars: 95 % interval, x: lower bound of the worst seed) "
    "beside the best control",
    "What each stage adds (line: best control of I+II)",
)


def draw_plot(runs: Sequence[Run], path: Path) -> None:
    """Write the picture; metrics of which more is not better are left out."""
    shared = share_seeds(runs, STAGES.values())
    variants = {head: _choose(pool_variant(shared, variant)) for head, variant in STAGES.items()}
    whole = _choose(pool_variant(runs, WHOLE))
    keys = list(dict.fromkeys(key for pooled in variants.values() for key in pooled))
    size = (max(12.0, 1.1 * len(keys)), 9.0)
    figure, (above, below) = plt.subplots(2, 1, figsize=size, layout="constrained")
    _draw_bars(above, keys, {"I+II": whole}, COLOURS[3:], width=0.38, shift=-0.19)
    _draw_best(above, keys, whole)
    drawn = {head: pooled for head, pooled in variants.items() if pooled}
    colours = [COLOURS[list(STAGES).index(head)] for head in drawn]
    width = 0.8 / max(1, len(drawn))
    _draw_bars(below, keys, drawn, colours, width, shift=-0.4 + width / 2)
    for place, key in enumerate(keys):
        if key in whole and whole[key].best_control is not None:
            below.hlines(whole[key].best_control, place - 0.45, place + 0.45, color="black")
    for axes, title in zip((above, below), TITLES, strict=True):
        axes.set_title(title, loc="left", fontsize=10)
        axes.set_xticks(range(len(keys)), ["\n".join(key) for key in keys], fontsize=8)
        axes.set_ylabel("points")
        axes.spines[["top", "right"]].set_visible(False)
        if axes.has_data():
            axes.legend(frameon=False, ncols=4, fontsize=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    # No version and no time, so that equal scores give equal bytes.
    figure.savefig(path, dpi=120, metadata={"Software": None})
    plt.close(figure)


def _choose(pooled: Mapping[Key, Pooled]) -> dict[Key, Pooled]:
    return {key: one for key, one in pooled.items() if key[1] not in UNRANKED}


def _draw_bars(
    axes: Any,
    keys: Sequence[Key],
    variants: Mapping[str, Mapping[Key, Pooled]],
    colours: Sequence[str],
    width: float,
    shift: float,
) -> None:
    """One bar a variant and metric, with its interval."""
    for number, (head, pooled) in enumerate(variants.items()):
        places = [place for place, key in enumerate(keys) if key in pooled]
        found = [pooled[keys[place]] for place in places]
        where = [place + shift + number * width for place in places]
        values = [one.value for one in found]
        down = [0.0 if one.low is None else one.value - one.low for one in found]
        up = [0.0 if one.high is None else one.high - one.value for one in found]
        axes.bar(
            where, values, width, yerr=[down, up], label=head, color=colours[number], capsize=2,
            error_kw={"elinewidth": 0.8},
        )  # fmt: skip


def _draw_best(axes: Any, keys: Sequence[Key], whole: Mapping[Key, Pooled]) -> None:
    """Best control, and the worst seed's lower bound, which lies inside its bar."""
    places = [place for place, key in enumerate(keys) if key in whole]
    found = [whole[keys[place]] for place in places]
    best = [0.0 if one.best_control is None else one.best_control for one in found]
    axes.bar([place + 0.19 for place in places], best, 0.38, label="best control", color=GREY)
    lows = [float("nan") if one.worst_low is None else one.worst_low for one in found]
    axes.plot([place - 0.19 for place in places], lows, "x", color="white", markersize=5)
