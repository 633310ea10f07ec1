"""A page of answers with their pictures: a few right and a few wrong ones of every benchmark."""

import base64
import hashlib
import html
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from mmicl.config import Config
from mmicl.errors import DataError
from mmicl.images.store import ImageStore
from mmicl.paths import Paths

SHOWN = 3
"""Right, and as many wrong, answers per benchmark."""
_SIDE = 128
"""Pixels of a thumbnail's longer side."""
_STYLE = """
body { font: 14px/1.4 sans-serif; margin: 2em; max-width: 70em; }
figure { display: inline-block; margin: 0 .5em .5em 0; text-align: center; }
figcaption { color: #666; font-size: 12px; }
article { border-left: 4px solid #c33; margin: 1em 0; padding: .2em 1em; }
article.right { border-color: #393; }
pre { white-space: pre-wrap; margin: .3em 0; }
"""


def draw_samples(paths: Paths, config: Config) -> str:
    """Write the page as HTML that needs no other file.

    Which answers are shown is settled by a hash of their ids: the same predictions give the same
    page. A picture that is not on disk (DVC did not restore it) is named instead of shown.

    Raises:
        DataError: A table of predictions is not what it should be.
    """
    folders = [paths.images(name) for name in sorted(config.datasets)]
    images = ImageStore(folder for folder in folders if folder.is_dir())
    parts = [
        _draw_benchmark(name, _read_answers(paths.predictions, name), images)
        for name in sorted(config.evaluate.benchmarks)
    ]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f"<title>Sample predictions</title><style>{_STYLE}</style></head><body>"
        f"<h1>Sample predictions</h1>{''.join(parts)}</body></html>\n"
    )


def _draw_benchmark(name: str, answers: Sequence[Mapping[str, Any]], images: ImageStore) -> str:
    """Some right and some wrong answers of one benchmark."""
    rights = [answer for answer in answers if answer["right"]]
    wrongs = [answer for answer in answers if not answer["right"]]
    chosen = rights[:SHOWN] + wrongs[:SHOWN]
    title = f"<h2>{html.escape(name)}</h2><p>{len(rights)} of {len(answers)} answers right</p>"
    return title + "".join(_draw_answer(answer, images) for answer in chosen)


def _draw_answer(row: Mapping[str, Any], images: ImageStore) -> str:
    """One question with its pictures, the answer and what was expected."""
    figures = "".join(
        f"<figure>{_draw_picture(reference, images)}<figcaption>image {index}</figcaption></figure>"
        for index, reference in enumerate(row["images"])
    )
    kind = "right" if row["right"] else "wrong"
    return (
        f'<article class="{kind}">{figures}<pre>{html.escape(row["prompt"])}</pre>'
        f"<p>answer <b>{html.escape(row['answer'])}</b> ({kind}), "
        f"expected <b>{html.escape(row['target'])}</b></p></article>"
    )


def _draw_picture(reference: str, images: ImageStore) -> str:
    """A thumbnail as an HTML element of its own."""
    if reference not in images:
        return f"<code>{html.escape(reference[:12])}…</code>"
    picture = images.load(reference)
    picture.thumbnail((_SIDE, _SIDE))
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=80)
    data = base64.b64encode(stream.getvalue()).decode()
    return f'<img alt="{html.escape(reference[:12])}" src="data:image/jpeg;base64,{data}">'


def _read_answers(folder: Path, benchmark: str) -> list[dict[str, Any]]:
    """The answers of a benchmark in settled random order: images, prompt, answer, target, right."""
    path = folder / f"{benchmark}.parquet"
    try:
        rows = [row for row in pq.read_table(path).to_pylist() if row["control"] == ""]
        for row in rows:
            row["answer"] = row["text"]
            row["right"] = row["text"].strip().lower() == row["target"].lower()
        return sorted(rows, key=lambda row: hashlib.sha256(row["id"].encode()).digest())
    except FileNotFoundError:
        raise DataError("no such file", where=path, remedy="run the stage evaluate") from None
    except (KeyError, pa.ArrowInvalid) as error:
        raise DataError(f"not a table of predictions ({error})", where=path) from None
