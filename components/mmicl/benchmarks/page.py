"""The part of docs/benchmarks.md that is written from what the benchmarks declare.

`python -m mmicl.benchmarks.page` writes it; a contract test holds the committed page against it.
"""

import inspect
from collections.abc import Iterable
from pathlib import Path

from mmicl.benchmarks import BENCHMARKS
from mmicl.benchmarks.benchmark import Benchmark
from mmicl.files import write_text

PAGE = Path("docs") / "benchmarks.md"
BEGIN, END = "<!-- declared: begin -->\n", "<!-- declared: end -->\n"
KINDS = {
    "generate": "writes its answer",
    "yes_probability": "probability of yes",
    "candidates": "likeliest of the candidates",
}


def write_declared(benchmarks: Iterable[Benchmark]) -> str:
    """A table of what `evaluate` can run, by category, and the published figures it is held to."""
    ordered = sorted(benchmarks, key=lambda one: (one.category, one.name))
    lines = [
        "| category | name | task | how it is asked | scorer | chance | split | headline "
        "| other metrics | version | licence |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for one in ordered:
        others = [name for name in one.metrics if name not in one.headline]
        split = "test" if one.split == "test" else f"test, or {one.split}"
        name = f"{one.name} (of {one.reader})" if one.reader else one.name
        lines.append(
            f"| {one.category} | {name} | {one.task} | {KINDS[one.kind]} "
            f"| `{one.scorer}` | {tell_chance(one)} | {split} "
            f"| {', '.join(one.headline)} | {', '.join(others) or '-'} | `{one.version}` "
            f"| {one.licence} |"
        )
    lines += ["", "| name | metric | system | shots | published | verified | source | note |"]
    lines.append("|---|---|---|---|---|---|---|---|")
    lines += [
        f"| {one.name} | {figure.metric} | {figure.system} | {figure.shots} | {figure.value:.2f} "
        f"| {'yes' if figure.verified else 'no'} | {figure.source} | {figure.note or '-'} |"
        for one in ordered
        for figure in one.published
    ]
    return "\n".join([*lines, ""])


def tell_chance(benchmark: Benchmark) -> str:
    """How a model that guesses does, as the function that works it out says."""
    first = (inspect.getdoc(benchmark.chance) or "").partition("\n")[0].rstrip(".")
    return first[:1].lower() + first[1:]


def replace_declared(page: str, declared: str) -> str:
    """The page with that part written anew.

    Raises:
        ValueError: The page has no such part.
    """
    before, _, rest = page.partition(BEGIN)
    _, found, after = rest.partition(END)
    if not found:
        raise ValueError(f"no part between {BEGIN.strip()} and {END.strip()}")
    return f"{before}{BEGIN}{declared}{END}{after}"


if __name__ == "__main__":
    text = PAGE.read_text(encoding="utf-8")
    write_text(PAGE, replace_declared(text, write_declared(BENCHMARKS.values())))
