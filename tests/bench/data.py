"""The data half beside the original's way of storing: a part of `make bench-data`.

The same official files into trainable tables, and those into batches, by the product and by the
original's procedure (`data_original.py`), in alternating blocks of one process.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from data_original import OriginalLoader, shuffle, write_original

from mmicl.augment.bank import shipped_bank
from mmicl.config import Build, load_config
from mmicl.files import open_rows, read_rows, write_json
from mmicl.images.store import ImageStore
from mmicl.mic.builder import build
from mmicl.mic.recipe import Recipe
from mmicl.model.features import FeatureStore
from mmicl.model.loading import load_model
from mmicl.records import Example, Sample
from mmicl.sources import READERS, ingest_dataset
from mmicl.train.batches import BatchMaker, load_features
from mmicl.world import generate

PROFILE = Path(__file__).resolve().parents[2] / "profiles" / "tiny.yaml"
XL_FEATURES = (32, 768)
BATCH = 32
PART = 1000
"""Samples that the original's way is measured with: its cost is the same for each."""
WANTED = {"bytes a sample": 20.0, "built, samples/s": 5.0, "loaded, samples/s": 5.0}


def main(arguments: list[str]) -> int:
    """Measure, print, judge."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=2000, help="of five captions each")
    parser.add_argument("--pairs", type=int, default=3, help="of blocks")
    parser.add_argument("--out", type=Path, help="JSON of all figures")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        found = measure_original(Path(folder), options.pictures, options.pairs)
    if options.out:
        write_json(options.out, found)
    for line in found["failed"]:
        print(line, file=sys.stderr)
    return int(bool(found["failed"]))


def measure_original(folder: Path, pictures: int, pairs: int) -> dict[str, Any]:
    """Build tables both ways and read batches both ways, in turns; print medians and ranges."""
    generate("coco", {"n": pictures, "seed": 1, "test": 100}, folder / "raw")
    _, processor = load_model("builtin:tiny")
    samples, store = build_ours(folder)
    part = samples[:: max(1, len(samples) // PART)]
    original = folder / "original.arrow"
    built: dict[str, list[float]] = {"ours": [], "original": []}
    written = 0
    for _ in range(pairs):
        spent, (samples, store) = clock(partial(build_ours, folder))
        built["ours"].append(len(samples) / spent)
        spent, written = clock(partial(write_original, original, part, store, processor))
        built["original"].append(len(part) / spent)
    size = {
        "ours": sum(
            path.stat().st_size
            for name in ("examples", "images", "mic") for path in (folder / name).iterdir()
        ) / len(samples),
        "original": written / len(part),
    }  # fmt: skip
    loaded = measure_loaders(folder, part, original, processor, pairs)
    found = {"bytes a sample": size, "built, samples/s": built, "loaded, samples/s": loaded}
    ratios = {
        "bytes a sample": size["original"] / size["ours"],
        "built, samples/s": compare(built),
        "loaded, samples/s": compare(loaded),
    }
    print("| | ours | original | ours better by | wanted |\n|---|---|---|---|---|")
    for name, ratio in ratios.items():
        ours, other = (_median(found[name][side]) for side in ("ours", "original"))
        print(f"| {name} | {ours:,.0f} | {other:,.0f} | {ratio:.1f} | {WANTED[name]:.0f} |")
    failed = [f"{name}: {ratio:.1f}" for name, ratio in ratios.items() if ratio < WANTED[name]]
    return {
        **found,
        "ratios": ratios,
        "images": len(store),
        "samples": len(samples),
        "failed": failed,
    }


def build_ours(folder: Path) -> tuple[list[Sample], ImageStore]:
    """Official files to trainable tables, by one process."""
    ingest_dataset(
        READERS["coco_caption"], folder / "raw", folder / "examples", folder / "images",
        name="coco", max_quarantined=0.0, resplit=None, quarantine=folder / "quarantine",
    )  # fmt: skip
    tiny = load_config(PROFILE).build
    quotas: dict[str, Any] = {"pretrain": {}, "finetune": {"coco": 10**9}, "validation": 0}
    config: Build = tiny.model_copy(update=quotas)

    def open_examples(_: str) -> Any:
        return open_rows(folder / "examples" / "examples.parquet", Example)

    build(folder / "mic", open_examples, Recipe(shipped_bank(), config, 1))
    return read_rows(folder / "mic" / "finetune.parquet", Sample), ImageStore([folder / "images"])


def measure_loaders(
    folder: Path, samples: list[Sample], original: Path, processor: Any, pairs: int
) -> dict[str, list[float]]:
    """Samples a second of stage II's loader, from cached features of XL's shape, and of theirs.

    Both read what lies in the page cache, in shuffled order.
    """
    features = FeatureStore(folder / "features", "drawn", "bf16")
    names = sorted({name for sample in samples for name in sample.images})
    features.folder.mkdir()
    features._write_shard(names, torch.randn(len(names), *XL_FEATURES).bfloat16())
    features = FeatureStore(folder / "features", "drawn", "bf16")
    ours = BatchMaker(
        samples, processor, load_features(features), ranks=1, rank=0, micro_batch=BATCH,
        micro_tokens=4096, max_target_tokens=128,
    )  # fmt: skip
    theirs = OriginalLoader(original)
    found: dict[str, list[float]] = {"ours": [], "original": []}
    for pair in range(pairs):
        for side, loader in (("ours", ours), ("original", theirs)):
            spent, _ = clock(partial(read_all, loader, len(samples), pair))
            found[side].append(len(samples) / spent)
    return found


def read_all(loader: Any, count: int, seed: int) -> None:
    """Make every batch once."""
    for indices in shuffle(count, BATCH, seed):
        loader.make(indices)


def clock(work: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds that it takes, and what it gives."""
    begin = time.monotonic()
    given = work()
    return time.monotonic() - begin, given


def compare(rates: dict[str, list[float]]) -> float:
    """The median of ours / original over the pairs."""
    return statistics.median(
        own / other for own, other in zip(rates["ours"], rates["original"], strict=True)
    )


def _median(figure: float | list[float]) -> float:
    return statistics.median(figure) if isinstance(figure, list) else figure


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
