"""A page of answers with their pictures: a few right and a few wrong items of every benchmark."""

import hashlib
import html
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from mmicl.config import Config
from mmicl.errors import DataError
from mmicl.images.showing import draw_thumbnail, write_address
from mmicl.images.store import ImageStore
from mmicl.paths import Paths
from mmicl.tracking.pairs import ITEMS

SHOWN = 3
"""Items that score high, and as many that score low, per benchmark."""
HALF = 50.0
"""Points from which an item counts as high: right, where an item is right or wrong."""
Row = dict[str, Any]
_SIDE = 128
"""Pixels of a thumbnail's longer side."""
_QUALITY = 80
_STYLE = """
body { font: 14px/1.4 sans-serif; margin: 2em; max-width: 70em; }
figure { display: inline-block; margin: 0 .5em .5em 0; text-align: center; }
figcaption { color: #666; font-size: 12px; }
article { border-left: 4px solid #c33; margin: 1em 0; padding: .2em 1em; }
article.high { border-color: #393; }
pre { white-space: pre-wrap; margin: .3em 0; }
"""


def draw_samples(paths: Paths, config: Config) -> str:
    """Write the page as HTML that needs no other file.

    Which items are shown is settled by a hash of their ids: the same predictions give the same
    page. A picture that is not on disk (DVC did not restore it) is named instead of shown.

    Raises:
        DataError: A table of predictions is not what it should be.
    """
    folders = [paths.images(name) for name in sorted(config.datasets)]
    images = ImageStore(folder for folder in folders if folder.is_dir())
    parts = [
        _draw_benchmark(paths.predictions, name, images)
        for name in sorted(config.evaluate.benchmarks)
    ]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f"<title>Sample predictions</title><style>{_STYLE}</style></head><body>"
        f"<h1>Sample predictions</h1>{''.join(parts)}</body></html>\n"
    )


def _draw_benchmark(folder: Path, benchmark: str, images: ImageStore) -> str:
    """Some high and some low scoring items of one benchmark."""
    metric, values = _read_values(folder / ITEMS, benchmark)
    order = sorted(values, key=lambda item: hashlib.sha256(item.encode()).digest())
    high = [item for item in order if values[item] >= HALF]
    low = [item for item in order if values[item] < HALF]
    chosen = high[:SHOWN] + low[:SHOWN]
    answers = _read_answers(folder / f"{benchmark}.parquet", chosen)
    drawn = (_draw_item(metric, values[item], answers[item], images) for item in chosen)
    return (
        f"<h2>{html.escape(benchmark)}</h2><p>{len(high)} of {len(values)} items score "
        f"{HALF:.0f} points or more on {html.escape(metric)}.</p>{''.join(drawn)}"
    )


def _draw_item(metric: str, value: float, rows: Sequence[Row], images: ImageStore) -> str:
    """One item: its pictures, its first prompt, and every answer beside what was expected."""
    references = dict.fromkeys(reference for row in rows for reference in row["images"])
    figures = "".join(
        f"<figure>{_draw_picture(reference, images)}<figcaption>{place}</figcaption></figure>"
        for place, reference in enumerate(references)
    )
    answers = "".join(
        f"<li>answer <b>{html.escape(row['text'])}</b>, "
        f"expected <b>{html.escape(row['target'])}</b></li>"
        for row in rows
    )
    more = f"<p>The first of {len(rows)} prompts.</p>" if len(rows) > 1 else ""
    return (
        f'<article class="{"high" if value >= HALF else "low"}">{figures}'
        f"<pre>{html.escape(rows[0]['prompt'])}</pre>{more}<ul>{answers}</ul>"
        f"<p>{html.escape(metric)} {value:.1f}</p></article>"
    )


def _draw_picture(reference: str, images: ImageStore) -> str:
    """A thumbnail as an HTML element of its own."""
    if reference not in images:
        return f"<code>{html.escape(reference[:12])}…</code>"
    address = write_address(draw_thumbnail(images, reference, _SIDE, _QUALITY))
    return f'<img alt="{html.escape(reference[:12])}" src="{address}">'


def _read_values(path: Path, benchmark: str) -> tuple[str, dict[str, float]]:
    """The first metric that is a mean over items, and every item's value on it."""
    rows = _read(path, [("benchmark", "==", benchmark)], ["metric", "item", "value"])
    if not rows:
        raise DataError(f"no item of {benchmark}", where=path, remedy="run the stage evaluate")
    metric = rows[0]["metric"]
    return metric, {row["item"]: row["value"] for row in rows if row["metric"] == metric}


def _read_answers(path: Path, items: Sequence[str]) -> dict[str, list[Row]]:
    """Item -> the model's own answers to its requests, in order."""
    own = [("control", "==", ""), ("item", "in", items)]
    answers: dict[str, list[Row]] = {item: [] for item in items}
    for row in _read(path, own, ["item", "images", "prompt", "target", "text"]):
        answers[row["item"]].append(row)
    return answers


def _read(path: Path, filters: list[tuple[str, str, Any]], columns: list[str]) -> list[Row]:
    try:
        return pq.read_table(path, filters=filters, columns=columns).to_pylist()
    except FileNotFoundError:
        raise DataError("no such file", where=path, remedy="run the stage evaluate") from None
    except (pa.ArrowException, KeyError) as error:
        raise DataError(f"not a table of predictions ({error})", where=path) from None
