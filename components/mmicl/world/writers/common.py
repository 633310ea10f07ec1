"""What the writers share: pictures, JSON and JSON Lines as the originals have them."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from PIL import Image

INFO = {
    "description": "Procedural world in the official file format",
    "url": "",
    "version": "1.0",
    "year": 2026,
    "contributor": "mmicl",
    "date_created": "2026-01-01",
}
LICENSE = {"id": 1, "name": "CC0 1.0", "url": "https://creativecommons.org/publicdomain/zero/1.0/"}


def save_jpeg(picture: Image.Image, path: Path) -> None:
    """Save with full chroma at quality 95: at this size, subsampled colours would bleed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path, format="JPEG", quality=95, subsampling=0)


def save_png(picture: Image.Image, path: Path) -> None:
    """Save without loss."""
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path, format="PNG", compress_level=3)


def save_json(value: Any, path: Path) -> None:
    """Save as one line of JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), encoding="utf-8")


def save_lines(values: Iterable[Any], path: Path) -> None:
    """Save as JSON Lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{json.dumps(value)}\n" for value in values), encoding="utf-8")
