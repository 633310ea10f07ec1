"""Stage validate: the data gate before anything learns from the data."""

import logging

from mmicl.files import write_json
from mmicl.quality import validate
from mmicl.stages import StageContext

log = logging.getLogger(__name__)


def run(context: StageContext) -> None:
    """Check all tables; write Data Docs and, where the gate lets them pass, the report.

    Raises:
        DataError: A critical rule failed. The Data Docs say all; no report is left that a later
            stage could take for a pass.
    """
    report = validate(context.paths, context.config)
    write_json(context.paths.validation, report)
    for key in ("expectations", "failed_warning", "examples", "samples", "templates"):
        context.facts[key] = report[key]
    log.info(
        "%d expectations hold over %d examples and %d samples, %d of them only as warnings; "
        "Data Docs in %s",
        report["expectations"] - report["failed_warning"],
        report["examples"],
        report["samples"],
        report["failed_warning"],
        context.paths.data_docs / "index.html",
    )
