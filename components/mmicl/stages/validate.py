"""Stage validate: the data gate before anything learns from the data."""

import logging

from mmicl.files import hash_file, write_json
from mmicl.quality import validate
from mmicl.stages import StageContext

log = logging.getLogger(__name__)

TABLES = {"pretrain": ("pretrain", "pretrain_val"), "finetune": ("finetune", "val")}
"""The parts of data/mic that a training stage reads."""


def run(context: StageContext) -> None:
    """Check all tables; write Data Docs and, where the gate lets them pass, the reports.

    All tables pass or none does, but each training is told of its own alone, so that it does not
    run again because those of the other changed.

    Raises:
        DataError: A critical rule failed. The Data Docs say all; nothing is left that a later
            stage could take for a pass.
    """
    paths = context.paths
    report = validate(paths, context.config)
    write_json(paths.validation, report)
    for stage, parts in TABLES.items():
        digests = {part: hash_file(paths.mic / f"{part}.parquet") for part in parts}
        write_json(paths.passed(stage), digests)
    for key in ("expectations", "failed_warning", "examples", "samples", "templates"):
        context.facts[key] = report[key]
    log.info(
        "%d expectations hold over %d examples and %d samples, %d of them only as warnings; "
        "Data Docs in %s",
        report["expectations"] - report["failed_warning"],
        report["examples"],
        report["samples"],
        report["failed_warning"],
        paths.data_docs / "index.html",
    )
