"""From answers to paraphrases: what is taken, what is dropped, what waits for review."""

import hashlib
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mmicl.augment.bill import Bill, make_bill
from mmicl.augment.checks import Drop, read_answer, sift
from mmicl.augment.prompts import PROMPT_VERSION, ParaphraseRequest
from mmicl.augment.replies import Reply
from mmicl.config import Augment
from mmicl.files import write_json
from mmicl.records import Template

MODEL_NAME = re.compile(r"[\w.:/-]{1,100}", re.ASCII)


@dataclass(frozen=True)
class Collected:
    """What came of the answers.

    Attributes:
        waiting: Sound paraphrases that nobody accepted yet, in the order of their templates.
        accepted: How many of those that came were accepted before.
        drops: What was not taken, each with its reason.
        asked: Requests that were wanted.
        answered: Those of them that have an answer.
        bill: What the answers cost, whenever they came.
    """

    waiting: list[Template]
    accepted: int
    drops: list[Drop]
    asked: int
    answered: int
    bill: Bill

    def facts(self) -> dict[str, Any]:
        """Counts and the bill, for the stage's record and for MLflow."""
        return {
            "asked": self.asked,
            "answered": self.answered,
            "accepted": self.accepted,
            "waiting": len(self.waiting),
            "dropped": len(self.drops),
            "bill": asdict(self.bill),
        }

    def describe(self, config: Augment) -> str:
        """One line for the log."""
        waiting = f"{len(self.waiting)} not reviewed"
        if self.waiting and config.require_review:
            waiting += " and left out (see mmicl bank)"
        return (
            f"{config.model}: {self.accepted} paraphrases accepted, {waiting}, "
            f"{len(self.drops)} dropped, ${self.bill.dollars:.4f} for {self.answered} answers"
        )


def collect(
    requests: Sequence[ParaphraseRequest],
    replies: Mapping[str, Reply],
    bank: Sequence[Template],
    config: Augment,
) -> Collected:
    """Judge all answers in the order of the requests, so that the result is one for any timing.

    Args:
        requests: All that were wanted, answered or not.
        replies: Answers by the key of their request.
        bank: The templates that are there already: no paraphrase may be nearly one of them.
        config: How many were asked for, of which model.
    """
    known: dict[str, list[str]] = {}
    for template in bank:
        known.setdefault(template.task, []).append(template.text)
    ids = {template.id for template in bank}
    waiting: list[Template] = []
    drops: list[Drop] = []
    accepted = 0
    answered = [(one, replies[one.key]) for one in requests if one.key in replies]
    for request, reply in answered:
        parent = request.template
        texts, reason = read_answer(reply)
        if reason is not None:
            drops.append(Drop(parent.id, reason, ""))
        fresh = [text for text in texts if _name(parent, text) not in ids]
        accepted += len(texts) - len(fresh)
        taken, refused = sift(parent, fresh, known[parent.task], config.paraphrases)
        drops += refused
        known[parent.task] += taken
        waiting += [_make_template(parent, text, reply, config) for text in taken]
    bill = make_bill(answered, config.prices)
    return Collected(waiting, accepted, drops, len(requests), len(answered), bill)


def _name(parent: Template, text: str) -> str:
    """An id that stays the same whatever else is asked for or answered."""
    return f"{parent.id}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def _make_template(parent: Template, text: str, reply: Reply, config: Augment) -> Template:
    """A paraphrase with where it comes from; the server's own word for its model, if it is one."""
    model = reply.model if MODEL_NAME.fullmatch(reply.model) else config.model
    return Template(
        id=_name(parent, text),
        task=parent.task,
        text=text,
        origin=f"{model}, prompt {PROMPT_VERSION}, temperature {config.temperature:g}, "
        f"paraphrase of {parent.id}",
        licence=config.terms,
        reviewed=False,
    )


def write_report(path: Path, found: Collected, config: Augment) -> None:
    """Write what was asked, answered, dropped by reason and billed, and the paraphrases waiting."""
    write_json(
        path,
        {
            **found.facts(),
            "base_url": config.base_url,
            "model": config.model,
            "prompt_version": PROMPT_VERSION,
            "temperature": config.temperature,
            "dropped": dict(Counter(drop.reason for drop in found.drops)),
            "drops": [asdict(drop) for drop in found.drops],
            "waiting": [template.model_dump() for template in found.waiting],
        },
    )
