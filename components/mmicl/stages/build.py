"""Stage build: MIC samples from the Examples of every dataset and the instruction bank."""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from mmicl.config import Model
from mmicl.files import open_rows, read_columns
from mmicl.launch.sharing import share_out
from mmicl.mic.builder import build
from mmicl.mic.recipe import Recipe
from mmicl.mic.selection import SHOWN, find_held_out
from mmicl.mic.templates import load_bank
from mmicl.records import Example
from mmicl.stages import StageContext

log = logging.getLogger(__name__)


def run(context: StageContext) -> None:
    """Write data/mic: pretrain, finetune and val samples and their manifest.

    Where stage I validates as well, pretrain_val has its pairs; else it is empty.

    All datasets are read, since none may show a picture that another is tested with; folders of
    data/examples that the config does not name (left over from another profile) are not.

    Raises:
        DataError: Examples or the bank are missing or malformed, or a quota cannot be met at all.
        UserError: `launch.spread` is ray, and there is no cluster to work on; or the model's
            tokenizer cannot be had, which `build.max_tokens` is counted by.
    """
    config = context.config

    def locate(name: str) -> Path:
        return context.paths.examples(name) / "examples.parquet"

    def open_examples(name: str) -> Sequence[Example]:
        return open_rows(locate(name), Example)

    held_out = find_held_out(
        read_columns(locate(name), Example, SHOWN) for name in sorted(config.datasets)
    )
    bank = load_bank(context.paths.bank)
    count = _load_count(config.model) if config.build.max_tokens is not None else None
    with share_out(config.launch) as share:
        pairs = config.pretrain.validation is not None
        recipe = Recipe(bank, config.build, config.seed, held_out, share, count, pairs)
        manifest = build(context.paths.mic, open_examples, recipe)
    for part, told in manifest["parts"].items():
        context.facts[f"{part}_samples"] = told["samples"]
        for name, counts in told["datasets"].items():
            log.info(
                "%s %s: %d samples of %d asked, from %d of %d examples, %d dropped",
                part, name, counts["samples"], counts["quota"], counts["taken"],
                counts["candidates"], sum(counts["dropped"].values()),
            )  # fmt: skip


def _load_count(model: Model) -> Callable[[str], int]:
    """What counts the tokens of a prompt; only then are the model's libraries needed."""
    from mmicl.model.loading import load_processor

    return load_processor(model.base, model.revision).count
