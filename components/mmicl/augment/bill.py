"""What paraphrases cost: expected before, bounded while they are asked for, billed afterwards."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mmicl.augment.bank import shipped_bank
from mmicl.augment.prompts import ParaphraseRequest, make_requests
from mmicl.augment.replies import Reply, ReplyCache
from mmicl.config import Augment, Prices

CHARACTERS_PER_TOKEN = 4
"""Of English, by OpenAI's own rule of thumb; what the expectation rests on."""
ANSWER_FRAME = 20
"""Tokens of an answer's JSON around the paraphrases."""


@dataclass(frozen=True)
class Forecast:
    """What is left to ask, in US dollars: expected, and at the most."""

    requests: int
    answered: int
    spent: float
    expected: float
    bound: float

    def __str__(self) -> str:
        return (
            f"{self.requests} requests, {self.answered} of them answered already "
            f"(${self.spent:.4f}), the others about ${self.expected:.4f}, at most ${self.bound:.4f}"
        )


@dataclass(frozen=True)
class Bill:
    """What answers cost, from the tokens that the endpoint reports.

    Attributes:
        input_tokens: Of all prompts.
        output_tokens: Of all answers.
        dollars: By the prices of params.yaml; the provider's invoice is another thing.
        unreported: Answers without a report of their tokens, counted at their bound.
    """

    input_tokens: int
    output_tokens: int
    dollars: float
    unreported: int


def price(tokens: tuple[float, float], prices: Prices) -> float:
    """US dollars for (input, output) tokens."""
    return (tokens[0] * prices.input + tokens[1] * prices.output) / 1e6


def bound_tokens(request: ParaphraseRequest) -> tuple[int, int]:
    """Input and output tokens that a request cannot exceed: a token is at least a byte of text."""
    text = json.dumps([request.body["messages"], request.body["response_format"]])
    return len(text.encode()), request.body["max_completion_tokens"]


def expected_tokens(request: ParaphraseRequest, paraphrases: int) -> tuple[float, float]:
    """Input and output tokens that a request will come to if paraphrases are as long as theirs."""
    answer = paraphrases * len(request.template.text) / CHARACTERS_PER_TOKEN + ANSWER_FRAME
    return bound_tokens(request)[0] / CHARACTERS_PER_TOKEN, answer


def used_tokens(request: ParaphraseRequest, reply: Reply) -> tuple[int, int]:
    """Input and output tokens as the endpoint reports them, at their bound where it does not."""
    most = bound_tokens(request)
    return (
        most[0] if reply.input_tokens is None else reply.input_tokens,
        most[1] if reply.output_tokens is None else reply.output_tokens,
    )


def make_bill(answered: Sequence[tuple[ParaphraseRequest, Reply]], prices: Prices) -> Bill:
    """The bill of some answers."""
    tokens = [used_tokens(request, reply) for request, reply in answered]
    total = sum(one[0] for one in tokens), sum(one[1] for one in tokens)
    unreported = sum(reply.input_tokens is None for _, reply in answered)
    return Bill(*total, round(price(total, prices), 6), unreported)


def forecast(requests: Sequence[ParaphraseRequest], config: Augment, cache: ReplyCache) -> Forecast:
    """What requests will cost, those answered in the cache being paid.

    Raises:
        DataError: A file of the cache is damaged.
    """
    found = [(request, cache.find(request)) for request in requests]
    paid = [(request, reply) for request, reply in found if reply is not None]
    left = [request for request, reply in found if reply is None]
    count = config.paraphrases
    return Forecast(
        requests=len(requests),
        answered=len(paid),
        spent=make_bill(paid, config.prices).dollars,
        expected=sum(price(expected_tokens(one, count), config.prices) for one in left),
        bound=sum(price(bound_tokens(one), config.prices) for one in left),
    )


def describe_plan(config: Augment, cache: Path) -> str | None:
    """What the stage augment would ask and pay, in one line; None where no endpoint is set.

    Args:
        config: The section `augment`.
        cache: The folder of the answers that came before.

    Raises:
        DataError: As `forecast`.
    """
    if config.base_url is None:
        return None
    hand = [template for some in shipped_bank().values() for template in some]
    costs = forecast(make_requests(hand, config), config, ReplyCache(cache))
    return f"{config.model}: {costs}, of a budget of ${config.budget:g}"
