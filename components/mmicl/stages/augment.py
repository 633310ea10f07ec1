"""Stage augment: the instruction bank that build and evaluate read."""

import logging

from mmicl.augment.bank import shipped_bank, write_bank
from mmicl.errors import UserError
from mmicl.stages import StageContext

log = logging.getLogger(__name__)


def run(context: StageContext) -> None:
    """Write data/instructions.jsonl from the bank that ships with the package.

    Raises:
        UserError: params ask for an endpoint.
    """
    if context.config.augment.endpoint is not None:
        raise UserError(
            "paraphrasing through an endpoint is not built yet",
            where="augment.endpoint",
            remedy="set augment.endpoint to null",
        )
    bank = shipped_bank()
    count = write_bank(context.paths.bank, [one for some in bank.values() for one in some])
    context.facts.update(templates=count, tasks=len(bank))
    log.info(
        "%d hand-written templates for %d tasks; no endpoint is set, so none are paraphrased",
        count,
        len(bank),
    )
