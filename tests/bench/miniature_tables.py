"""What the runs of the study come to: pooled over seeds, as Markdown tables."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from mmicl.errors import UserError
from mmicl.registry.gates import find_best_control, find_lead, list_controls

Run = Mapping[str, Any]
"""One entry of `runs` in docs/miniature.json: seed, variant, benchmarks as in scores.json."""
Key = tuple[str, str]
"""Benchmark and metric."""

WHOLE = "I+II"
STAGES = {"none": "none", "I": "I", "II": "II", "I+II": WHOLE}
"""Heading -> variant, from nothing trained to everything."""
RECIPES = {"design (k, v)": WHOLE, "paper (q, v)": "paper", "released (self q)": "released",
           "all (q, k, v)": "all"}  # fmt: skip
CONTROLS = {"chance": "chance", "majority": "majority answer", "blank": "images blanked",
            "shuffled": "images shuffled", "text_only": "no images"}  # fmt: skip


@dataclass(frozen=True)
class Pooled:
    """One metric of one variant over seeds, in points."""

    seeds: int
    n: int
    """Items, of each seed."""
    value: float
    """Mean of the values."""
    low: float | None
    """Mean of the lower ends."""
    high: float | None
    """Mean of the upper ends."""
    worst_low: float | None
    """The lowest of the lower ends."""
    controls: Mapping[str, float]
    """Means, chance among them."""
    best_control: float | None
    """Mean of every seed's best control."""
    lead: float | None
    """Of the seeds the worst: its lower end minus its own best control."""


def pool(metric: str, found: Sequence[Mapping[str, Any]], n: int) -> Pooled:
    """Pool one metric over seeds.

    Args:
        metric: Its name.
        found: What scores.json says of it, one a seed.
        n: Items.
    """
    lows, highs = [one["low"] for one in found], [one["high"] for one in found]
    bests = [best[1] for one in found if (best := find_best_control(one)) is not None]
    leads = [find_lead(metric, one) for one in found]
    controls = [list_controls(one) for one in found]
    shared = [name for name in CONTROLS if all(name in one for one in controls)]
    return Pooled(
        seeds=len(found),
        n=n,
        value=fmean(one["value"] for one in found),
        low=_unless_missing(fmean, lows),
        high=_unless_missing(fmean, highs),
        worst_low=_unless_missing(min, lows),
        controls={name: fmean(one[name] for one in controls) for name in shared},
        best_control=fmean(bests) if len(bests) == len(found) else None,
        lead=_unless_missing(min, leads),
    )


def pool_variant(runs: Sequence[Run], variant: str) -> dict[Key, Pooled]:
    """Every headline metric of a variant, pooled over the seeds that measured it."""
    own = [run for run in runs if run["variant"] == variant]
    keys: dict[Key, None] = {}
    for run in own:
        for benchmark, result in run["benchmarks"].items():
            keys |= dict.fromkeys((benchmark, metric) for metric in result["headline"])
    pooled = {}
    for benchmark, metric in keys:
        results = [run["benchmarks"][benchmark] for run in own if benchmark in run["benchmarks"]]
        found = [one for one in results if metric in one["metrics"]]
        if found:
            scores = [one["metrics"][metric] for one in found]
            pooled[benchmark, metric] = pool(metric, scores, found[0]["n"])
    return pooled


def write_tables(runs: Sequence[Run]) -> dict[str, str]:
    """The generated parts of docs/miniature.md by the names of their markers."""
    return {
        "controls": _write_controls(pool_variant(runs, WHOLE)),
        "stages": _write_comparison(runs, STAGES),
        "recipes": _write_comparison(runs, RECIPES),
        "legend": _write_legend(runs),
    }


def fill_markers(text: str, parts: Mapping[str, str], where: str) -> str:
    """Put parts between `<!-- NAME:begin -->` and `<!-- NAME:end -->`, and touch nothing else.

    Raises:
        UserError: A marker is missing.
    """
    for name, part in parts.items():
        begin, end = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
        before, opened, rest = text.partition(begin)
        _, closed, after = rest.partition(end)
        if not opened or not closed:
            raise UserError(f"the markers {begin} and {end} are missing", where=where)
        text = f"{before}{begin}\n{part}\n{end}{after}"
    return text


def _write_controls(pooled: Mapping[Key, Pooled]) -> str:
    """The whole training beside every control."""
    heads = ["score", "n", "value [95 %]", "lowest bound", *CONTROLS.values(), "lead"]
    rows = []
    for (benchmark, metric), one in pooled.items():
        best = max(one.controls.values(), default=None) if one.lead is not None else None
        controls = []
        for name in CONTROLS:
            value = one.controls.get(name)
            text = _write_number(value)
            controls.append(f"**{text}**" if best is not None and value == best else text)
        lead = "-" if one.lead is None else f"{one.lead:+.1f}"
        cells = [_write_interval(one), _write_number(one.worst_low), *controls, lead]
        rows.append([f"{benchmark} {metric}", str(one.n), *cells])
    return _draw(heads, rows)


def share_seeds(runs: Sequence[Run], variants: Collection[str]) -> list[Run]:
    """The runs of those seeds that each of the variants has, but for variants without any run.

    Means over different seeds are no comparison.
    """
    own = [run for run in runs if run["variant"] in variants]
    measured = {run["variant"] for run in own}
    found = [{run["seed"] for run in own if run["variant"] == name} for name in measured]
    shared = set.intersection(*found) if found else set()
    return [run for run in own if run["seed"] in shared]


def _write_comparison(runs: Sequence[Run], variants: Mapping[str, str]) -> str:
    """Variants side by side, with the lead of each in brackets of its own."""
    runs = share_seeds(runs, variants.values())
    columns = {head: pool_variant(runs, variant) for head, variant in variants.items()}
    keys = dict.fromkeys(key for pooled in columns.values() for key in pooled)
    rows = []
    for key in keys:
        cells = []
        for pooled in columns.values():
            one = pooled.get(key)
            lead = "" if one is None or one.lead is None else f"; {one.lead:+.1f}"
            cells.append("-" if one is None else _write_interval(one) + lead)
        rows.append([" ".join(key), *cells])
    return f"Seeds {_list_seeds(runs)}.\n\n" + _draw(["score", *columns], rows)


def _write_legend(runs: Sequence[Run]) -> str:
    """What the figures are."""
    seeds = _list_seeds([run for run in runs if run["variant"] == WHOLE] or runs)
    return (
        f"In points; seeds {seeds}. *Value* and its 95 % interval (bootstrap over groups of "
        "items): the means over the seeds of the value, of the lower and of the upper end. *Lowest "
        "bound*: the lower end of the worst seed. *Controls*: means over the seeds, the best in "
        "bold. *Lead* (in the comparisons the last figure): each seed's lower end minus that "
        "seed's own best control, and of the seeds the worst; below zero, the score is not shown "
        "to use the pictures. A score of which more is not better has none."
    )


def _list_seeds(runs: Sequence[Run]) -> str:
    return ", ".join(dict.fromkeys(str(run["seed"]) for run in runs))


def _write_interval(one: Pooled) -> str:
    if one.low is None or one.high is None:
        return f"{one.value:.1f}"
    return f"{one.value:.1f} [{one.low:.1f}, {one.high:.1f}]"


def _write_number(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def _draw(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; the first column left, the others right."""
    rule = ["---", *["---:"] * (len(heads) - 1)]
    return "\n".join(f"| {' | '.join(row)} |" for row in (heads, rule, *rows))


def _unless_missing(function: Any, values: Sequence[float | None]) -> float | None:
    """A function of values, or None where one of them is missing."""
    return None if any(value is None for value in values) else function(values)
