"""What the endpoint is asked: the rules, the request of one template, the form of the answer."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict

from mmicl.config import Augment
from mmicl.files import hash_json
from mmicl.mic.templates import MAX_LENGTH, split_slots
from mmicl.records import Template

PROMPT_VERSION = 1
"""Recorded with every paraphrase; raise it with any change of RULES or of `make_requests`."""
RULES = f"""\
You paraphrase instructions for a model that answers questions about images. The user gives, as \
JSON, a task, an instruction of it, its slots, and how many paraphrases to write.
- Keep the meaning, and the kind of answer that the instruction asks for. Words that name the \
possible answers (yes, no, true, false) stay.
- Every slot stands in each paraphrase exactly once, spelled as given, braces included. There are \
no other braces.
- {{images}} is replaced by whole sentences that introduce the images, {{images:inline}} by a list \
of images within a sentence, {{question}} by a question or a statement, {{choices}} by a list of \
alternatives.
- Never number an image: no digits at all.
- One line of plain English, at most {MAX_LENGTH} characters; letters and common punctuation only; \
no address, no markup.
- Paraphrases differ from the instruction and from one another in wording and in the place of the \
slots."""
CHARACTERS_PER_TOKEN = 3
"""Of a paraphrase at its longest; English has about four."""


class Paraphrases(BaseModel):
    """The answer: the endpoint is given this model's JSON schema, and held to it."""

    model_config = ConfigDict(extra="forbid", strict=True)

    paraphrases: list[str]


@dataclass(frozen=True)
class ParaphraseRequest:
    """One template put to the endpoint.

    Attributes:
        template: The instruction that is paraphrased.
        body: The arguments of the chat completion, as the protocol names them.
        key: The sha256 of address and body: the name of the answer in the cache.
    """

    template: Template
    body: dict[str, Any]
    key: str


def slots_of(text: str) -> list[str]:
    """The slots of a template, as they are spelled: `{images:inline}`, `{question}`.

    Raises:
        ValueError: The braces do not match.
    """
    return [
        f"{{{slot}:{form}}}" if form else f"{{{slot}}}"
        for _, slot, form in split_slots(text)
        if slot is not None
    ]


def make_requests(templates: Iterable[Template], config: Augment) -> list[ParaphraseRequest]:
    """One request per template, for `config.paraphrases` paraphrases of it."""
    schema = {**Paraphrases.model_json_schema(), "description": "Paraphrases of an instruction."}
    form = {"name": "paraphrases", "strict": True, "schema": schema}
    requests = []
    for template in templates:
        asked = {
            "task": template.task,
            "instruction": template.text,
            "slots": slots_of(template.text),
            "paraphrases": config.paraphrases,
        }
        body = {
            "model": config.model,
            "temperature": config.temperature,
            "max_completion_tokens": config.paraphrases * MAX_LENGTH // CHARACTERS_PER_TOKEN,
            "messages": [
                {"role": "system", "content": RULES},
                {"role": "user", "content": json.dumps(asked)},
            ],
            "response_format": {"type": "json_schema", "json_schema": form},
        }
        key = hash_json({"base_url": config.base_url, "body": body})
        requests.append(ParaphraseRequest(template, body, key))
    return requests
