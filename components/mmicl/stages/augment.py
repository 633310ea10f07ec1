"""Stage augment: the instruction bank that build and evaluate read."""

import logging
import os

from mmicl.augment.asking import ask_all
from mmicl.augment.bank import accepted_templates, shipped_bank, write_bank
from mmicl.augment.endpoint import KEY_VARIABLE
from mmicl.augment.paraphrases import collect, write_report
from mmicl.augment.prompts import make_requests
from mmicl.augment.replies import ReplyCache
from mmicl.stages import StageContext

log = logging.getLogger(__name__)


def run(context: StageContext) -> None:
    """Write data/instructions.jsonl: the shipped bank, what was accepted, and paraphrases of it.

    With `augment.base_url` the endpoint is asked for what the cache does not have; without the
    key the cache alone counts. Paraphrases that nobody accepted enter only where
    `augment.require_review` is false. reports/paraphrases.json has them all.

    Raises:
        UserError: The cost is over the budget, or the endpoint refuses.
        TransientError: The endpoint does not answer.
        DataError: The bank, the accepted templates or a kept answer is damaged.
    """
    config, paths = context.config.augment, context.paths
    hand = [one for some in shipped_bank().values() for one in some]
    accepted = accepted_templates(paths.accepted)
    requests = make_requests(hand, config) if config.base_url is not None else []
    cache = ReplyCache(paths.cache("paraphrases"))
    at_hand = sum(cache.find(request) is not None for request in requests)
    key = os.environ.get(KEY_VARIABLE) or None
    replies = ask_all(requests, config, cache, key)
    found = collect(requests, replies, [*hand, *accepted], config)
    write_report(paths.paraphrases, found, config)
    unreviewed = [] if config.require_review else found.waiting
    count = write_bank(paths.bank, [*hand, *accepted, *unreviewed])
    context.facts.update(templates=count, tasks=len({template.task for template in hand}))
    if config.base_url is None:
        log.info(
            "%d templates for %d tasks; augment.base_url is null, so none are paraphrased",
            count,
            context.facts["tasks"],
        )
        return
    context.facts.update(found.facts(), asked_now=len(replies) - at_hand)
    if len(replies) < len(requests):
        log.info(
            "%s is not set: the bank at hand is used, %d of %d requests are not asked "
            "(with the key: dvc repro --force augment)",
            KEY_VARIABLE,
            len(requests) - len(replies),
            len(requests),
        )
    log.info("%d templates; %s", count, found.describe(config))
