"""The study of the miniature, which stage and which recipe teaches what: `make miniature`.

Brings every variant of params.yaml up to its scores from every seed, each in a workspace of its
own, and writes docs/miniature.json, the tables of docs/miniature.md and
docs/pictures/miniature.png. The workspaces share DVC's cache and the state, so what variants have
in common is computed once, and a study that was cut off goes on where it was. The files hold what
this call was asked for, as far as it got.
"""

import argparse
import re
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

from miniature_plot import draw_plot
from miniature_tables import STAGES, fill_markers, write_tables

from mmicl.errors import MmiclError, UserError
from mmicl.files import read_json, write_json, write_text
from mmicl.lineage import code_state
from mmicl.paths import Paths
from mmicl.pipeline import bring_up_to_date, read_groups
from mmicl.workspace import prepare_workspace

SKIP_I, SKIP_II = "pretrain.steps=0", "finetune.steps=0"
VARIANTS: dict[str, tuple[str, ...]] = {
    "I+II": (),
    "I": (SKIP_II,),
    "II": (SKIP_I,),
    "none": (SKIP_I, SKIP_II),
    "paper": ("finetune.trainable_attention=paper",),
    "released": ("finetune.trainable_attention=released",),
    "all": ("finetune.trainable_attention=all",),
}
SEEDS = (1234, 1, 2)
LARGER_TESTS = (
    "datasets.raven.source=world://raven?n=200&seed=5&test=504",
    "evaluate.benchmarks.raven.limit=504",
    "datasets.winoground.source=world://winoground?n=504&seed=7",
    "evaluate.benchmarks.winoground.limit=504",
    "datasets.mantis.source=world://mantis?n=900&seed=10&test=510",
    "evaluate.benchmarks.mantis.limit=2550",
)
"""At least 500 items a figure, where the profile has fewer to stay within its minutes. Training
data is the same."""
LAST = "evaluate"
_ENDED = re.compile(r".*: (ran|restored|failed) .* s")


def main(arguments: Sequence[str]) -> int:
    """Run the study; an error of ours is one line and exit code 2."""
    options = parse_options(arguments)
    checkout = Paths.here(Path(__file__).resolve().parents[2])
    out = options.out or checkout.root / "docs"
    study: dict[str, Any] = {}
    try:
        code = code_state(checkout.root)
        study = {
            "revision": code["revision"],
            "dirty": bool(code["dirty"]),
            "overrides": [*LARGER_TESTS, *options.set],
            "variants": {name: list(VARIANTS[name]) for name in options.only},
            "runs": [],
        }
        for run in run_study(checkout, options):
            place = (options.seeds.index(run["seed"]), options.only.index(run["variant"]))
            study["runs"].append((place, run))
            runs = [one for _, one in sorted(study["runs"], key=lambda found: found[0])]
            write_study(out, {**study, "runs": runs})
    except MmiclError as error:
        print(f"miniature: {error}", file=sys.stderr, flush=True)
        return 2
    print(f"written: {out / 'miniature.json'}, miniature.md, pictures/miniature.png")
    return 0


def parse_options(arguments: Sequence[str]) -> argparse.Namespace:
    """The command line, with the variants in the order of `VARIANTS`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", type=_split_variants, default=list(VARIANTS), metavar="A,B,…")
    parser.add_argument("--seeds", type=_split_seeds, default=list(SEEDS), metavar="N,N,…")
    parser.add_argument("--jobs", type=int, default=1, help="variants of a seed at a time")
    parser.add_argument("--set", action="append", default=[], help="key=value for every variant")
    parser.add_argument("--out", type=Path, help="folder of the files; docs/ if not given")
    return parser.parse_args(arguments)


def run_study(checkout: Paths, options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Run the variants of the plan, and give each one's scores as it ends.

    Raises:
        MmiclError: A stage failed; what was at work beside it has ended by then.
    """
    for seed, batch in plan_study(options.seeds, options.only):
        if options.jobs == 1 or len(batch) == 1:
            for variant in batch:
                yield run_variant(checkout, seed, variant, options.set)
            continue
        with ThreadPoolExecutor(options.jobs) as pool:
            begun = [
                pool.submit(run_variant, checkout, seed, variant, options.set) for variant in batch
            ]
            try:
                for done in as_completed(begun):
                    yield done.result()
            finally:
                pool.shutdown(cancel_futures=True)


def plan_study(seeds: Sequence[int], chosen: Sequence[str]) -> list[tuple[int, list[str]]]:
    """Seeds and batches in their order: from every seed what the stages add, then the recipes.

    So a study that is cut off has the most of what most is asked about. Recipes share stage I;
    where a variant of the stages has made it, none of them waits for another.
    """
    stages = [name for name in chosen if name in STAGES.values()]
    recipes = [name for name in chosen if name not in stages]
    made = any(SKIP_I not in VARIANTS[name] for name in stages)
    batches = [plan_batches(stages), [recipes] if made else plan_batches(recipes)]
    return [(seed, batch) for group in batches for seed in seeds for batch in group if batch]


def plan_batches(chosen: Sequence[str]) -> list[list[str]]:
    """Variants that may run at the same time, batch after batch.

    No two of a batch compute the same stage: the first alone makes the data, then the first with
    the other way of stage I runs beside those that share the first one's, then those that share
    its own.
    """
    if not chosen:
        return []
    first = chosen[0]
    other = [name for name in chosen if (SKIP_I in VARIANTS[name]) != (SKIP_I in VARIANTS[first])]
    same = [name for name in chosen[1:] if name not in other]
    return [batch for batch in ([first], other[:1] + same, other[1:]) if batch]


def run_variant(
    checkout: Paths, seed: int, variant: str, overrides: Sequence[str]
) -> dict[str, Any]:
    """Bring a variant's workspace up to its scores and return them.

    Raises:
        MmiclError: A stage failed.
    """
    title, clock = f"seed {seed}, {variant}", time.monotonic()

    def show(line: str) -> None:
        if _ENDED.fullmatch(line):
            print(f"{title}: {line}", flush=True)

    paths = prepare_workspace(
        checkout, None, [*LARGER_TESTS, *overrides, f"seed={seed}", *VARIANTS[variant]]
    )
    groups = read_groups(paths)
    bring_up_to_date(paths, groups[: groups.index(LAST) + 1], on_line=show)
    print(f"{title}: done in {time.monotonic() - clock:.0f} s ({paths.root.name})", flush=True)
    return {"seed": seed, "variant": variant, "benchmarks": read_json(paths.scores)["benchmarks"]}


def write_study(out: Path, study: dict[str, Any]) -> None:
    """Write figures, tables and picture.

    Raises:
        UserError: miniature.md has lost a marker.
    """
    write_json(out / "miniature.json", study)
    page = out / "miniature.md"
    if not page.exists():
        raise UserError("no such file", where=page, remedy="copy docs/miniature.md there")
    text = fill_markers(page.read_text(encoding="utf-8"), write_tables(study["runs"]), page.name)
    write_text(page, text)
    draw_plot(study["runs"], out / "pictures" / "miniature.png")


def _split_variants(text: str) -> list[str]:
    wanted = set(text.split(","))
    if unknown := sorted(wanted - set(VARIANTS)):
        raise argparse.ArgumentTypeError(
            f"no variant {', '.join(unknown)}; there are {', '.join(VARIANTS)}"
        )
    return [name for name in VARIANTS if name in wanted]


def _split_seeds(text: str) -> list[int]:
    return [int(seed) for seed in text.split(",")]


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
