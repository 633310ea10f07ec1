"""Stage build: MIC samples from the Examples of every dataset and the instruction bank."""

import logging

from mmicl.files import read_rows
from mmicl.mic.builder import build, find_held_out, write_built
from mmicl.mic.templates import load_bank
from mmicl.records import Example
from mmicl.stages import StageContext

log = logging.getLogger(__name__)


def run(context: StageContext) -> None:
    """Write data/mic: pretrain, finetune and val samples and their manifest.

    All datasets are read, since none may show a picture that another is tested with; folders of
    data/examples that the config does not name (left over from another profile) are not.

    Raises:
        DataError: Examples or the bank are missing or malformed, or a quota cannot be met at all.
    """
    config = context.config.build
    examples = {
        name: read_rows(context.paths.examples(name) / "examples.parquet", Example)
        for name in sorted(context.config.datasets)
    }
    held_out = find_held_out(row for rows in examples.values() for row in rows)
    bank = load_bank(context.paths.bank)
    built = build(examples, bank, config, context.config.seed, held_out)
    write_built(context.paths.mic, built)
    for part, rows in built.samples.items():
        context.facts[f"{part}_samples"] = len(rows)
        for name, counts in built.manifest["parts"][part]["datasets"].items():
            dropped = sum(counts["dropped"].values())
            log.info(
                "%s %s: %d samples of %d asked, from %d of %d examples, %d dropped",
                part, name, counts["samples"], counts["quota"], counts["taken"],
                counts["candidates"], dropped,
            )  # fmt: skip
