"""Two checkpoints, and a captioning job in this process."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from blip_checkpoints import write_captioner, write_matcher
from web_shards import Job, write_plain

from mmicl.captioning.job import caption_shards
from mmicl.captioning.options import Options


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The options that name the models."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("blip")
    return {
        "captioner": str(write_captioner(folder / "captioner")),
        "matcher": str(write_matcher(folder / "matcher")),
    }


@pytest.fixture
def caption(checkpoints: dict[str, str]) -> Job:
    """Run a job; its counts."""

    def run(source: Path, out: Path, **changes: Any) -> dict[str, int]:
        told = {"candidates": 4, "batch_size": 8, **checkpoints, **changes}
        done: list[int] = []

        def start(rows: int) -> Callable[[int], None]:
            done.append(-rows)
            return done.append

        counts = caption_shards(Options(source, out, **told), start, lambda line: None)
        assert sum(done) == 0, "the bar ends where it should"
        return counts

    return run


@pytest.fixture(scope="session")
def done(
    tmp_path_factory: pytest.TempPathFactory, checkpoints: dict[str, str]
) -> tuple[Path, Path]:
    """A source and its result, read only."""
    folder = tmp_path_factory.mktemp("done")
    source, out = write_plain(folder / "web", shards=1, pictures=2), folder / "out"
    captioner, matcher = checkpoints["captioner"], checkpoints["matcher"]
    options = Options(source, out, candidates=4, captioner=captioner, matcher=matcher)
    caption_shards(options, lambda rows: lambda more: None, lambda line: None)
    return source, out
