"""What the writers share: pictures, JSON and JSON Lines as the originals have them."""

import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from PIL import Image

from mmicl.processes import fork_workers
from mmicl.world.rendering import render_scene
from mmicl.world.scenes import Scene

if TYPE_CHECKING:
    from concurrent.futures import Future, ProcessPoolExecutor

INFO = {
    "description": "Procedural world in the official file format",
    "url": "",
    "version": "1.0",
    "year": 2026,
    "contributor": "mmicl",
    "date_created": "2026-01-01",
}
LICENSE = {"id": 1, "name": "CC0 1.0", "url": "https://creativecommons.org/publicdomain/zero/1.0/"}


CHUNK = 32
"""Pieces of work that go to a process at one time."""

Work = tuple[Callable[..., None], tuple[Any, ...]]
"""A function of a module, and what it is called with."""


class Studio:
    """Draws and saves beside the writer, in as many processes as this one may use cores.

    Each piece of work writes files of its own and nothing else, so the bytes do not depend on the
    number of processes. All of it is done when the `with` block ends, which also raises the first
    error that a piece of work met.

    Args:
        processes: None means the cores; with 1, everything happens at once and in this process.
    """

    def __init__(self, processes: int | None = None) -> None:
        number = processes or len(os.sched_getaffinity(0))
        self._pool: ProcessPoolExecutor | None = fork_workers(number) if number > 1 else None
        self._waiting: list[Work] = []
        self._begun: list[Future[None]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._pool is None:
            return
        with self._pool as pool:
            try:
                if kind is None:
                    self._begin()
                    for future in self._begun:
                        future.result()
            finally:
                pool.shutdown(wait=False, cancel_futures=True)

    def draw_jpeg(self, scene: Scene, path: Path) -> None:
        """Draw a scene, and save it as `save_jpeg` does."""
        self.do(_draw_jpeg, scene, path)

    def draw_png(self, scene: Scene, path: Path) -> None:
        """Draw a scene, and save it as `save_png` does."""
        self.do(_draw_png, scene, path)

    def do(self, function: Callable[..., None], *arguments: Any) -> None:
        """Call a function of a module that writes files of its own, now or until the block ends."""
        if self._pool is None:
            function(*arguments)
            return
        self._waiting.append((function, arguments))
        if len(self._waiting) == CHUNK:
            self._begin()

    def _begin(self) -> None:
        if self._pool is not None and self._waiting:
            self._begun.append(self._pool.submit(_do_all, self._waiting))
            self._waiting = []


def _do_all(works: list[Work]) -> None:
    for function, arguments in works:
        function(*arguments)


def _draw_jpeg(scene: Scene, path: Path) -> None:
    save_jpeg(render_scene(scene), path)


def _draw_png(scene: Scene, path: Path) -> None:
    save_png(render_scene(scene), path)


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
