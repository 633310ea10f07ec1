"""Rows that fail a rule, for a person to look at: their texts and small pictures."""

from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

from mmicl.config import Config
from mmicl.errors import DataError
from mmicl.images.showing import draw_thumbnail, write_address
from mmicl.images.store import ImageStore
from mmicl.paths import Paths

SIDE = 72
"""Pixels of a thumbnail's longer side."""
MAX_THUMBNAILS = 4
MAX_TEXT = 300
Shown = dict[tuple[str, str], str]
"""(table, id) -> the row as HTML."""


def show_failing(
    results: Iterable[dict[str, Any]],
    tables: Mapping[str, Iterable[dict[str, Any]]],
    twins: Mapping[str, str],
    config: Config,
    paths: Paths,
) -> Shown:
    """The rows that the report names by id, of the tables that a person can read.

    Args:
        results: The report's, each with `table`, `success` and `ids`.
        tables: Rows of Example, Sample and Template by the tables' names in the report.
        twins: Id of an Example -> the picture that one of its own looks like, or "".
        config: Of the checkout.
        paths: Where the pictures lie. One that is not there, or damaged, is named in its place.
    """
    named = {(one["table"], name) for one in results if not one["success"] for name in one["ids"]}
    if not named:
        return {}
    folders = [paths.images(name) for name in sorted(config.datasets)]
    images = ImageStore(folder for folder in folders if folder.is_dir())
    return {
        (table, row["id"]): _show_template(row)
        if table == "bank"
        else _show(row, twins.get(row["id"], ""), images)
        for table, rows in tables.items()
        for row in rows
        if (table, row["id"]) in named
    }


def _show(row: dict[str, Any], twin: str, images: ImageStore) -> str:
    references = [one for one in row["images"] or [] if one]
    pictures = "".join(_draw(one, images) for one in references[:MAX_THUMBNAILS])
    if len(references) > MAX_THUMBNAILS:
        pictures += f" and {len(references) - MAX_THUMBNAILS} more"
    if twin:
        pictures += f" one looks like {_draw(twin, images)}"
    asked = row["prompt"] if "prompt" in row else " ".join([row["question"] or "", *_choices(row)])
    return (
        f"<div>{pictures}</div><div>{escape(_shorten(asked))} &rarr; "
        f"<b>{escape(_shorten(row['target']))}</b></div>"
    )


def _show_template(row: dict[str, Any]) -> str:
    """A template has no pictures; what a person wrote into the bank may be of any type."""
    task, text = (escape(_shorten(str(row[key]))) for key in ("task", "text"))
    return f"<div>{task}: <b>{text}</b></div>"


def _choices(row: dict[str, Any]) -> list[str]:
    return [f"({text})" for text in row["choices"] or []]


def _shorten(text: str | None) -> str:
    text = "null" if text is None else text
    return text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]}…"


def _draw(reference: str, images: ImageStore) -> str:
    name = escape(reference[:12])
    try:
        jpeg = draw_thumbnail(images, reference, SIDE)
    except (DataError, ValueError):  # what is no reference at all may be why the row is here
        return f"<code>{name}…</code> "
    return f'<img alt="{name}" src="{write_address(jpeg)}"> '
