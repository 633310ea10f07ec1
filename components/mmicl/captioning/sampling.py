"""Nucleus sampling whose chance belongs to the picture, not to the batch.

`generate(do_sample=True)` draws for a whole batch from torch's one generator, so that a caption
would depend on the pictures beside it. Here every caption has uniform numbers of its own, and a
step's number picks the token through the distribution function: the same distribution, in any
batch and on any device, up to the rounding of the model's own probabilities.
"""

import random
from collections.abc import Sequence

import torch
from transformers import LogitsProcessor


def draw_uniforms(seed: int, names: Sequence[str], captions: int, steps: int) -> torch.Tensor:
    """The uniform numbers [names * captions, steps] of some pictures, those of one side by side.

    Args:
        seed: Of the job.
        names: What tells the pictures apart.
        captions: How many each gets.
        steps: The longest caption's tokens.
    """
    chances = [random.Random(f"{seed} {name} {n}") for name in names for n in range(captions)]
    return torch.tensor([[chance.random() for _ in range(steps)] for chance in chances])


class NucleusSampling(LogitsProcessor):
    """Leaves one token a row, drawn from the nucleus, so that greedy decoding has to take it.

    The nucleus is that of transformers' TopPLogitsWarper: the likeliest tokens, up to the first
    with which their probability reaches `top_p`.

    Args:
        top_p: Above 0, up to 1.
        uniforms: In [0, 1): [rows, steps], one for each token to draw.
        prompt: Tokens that come before the first drawn one.
    """

    def __init__(self, top_p: float, uniforms: torch.Tensor, prompt: int) -> None:
        self.top_p, self.uniforms, self.prompt = top_p, uniforms, prompt

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Scores [rows, tokens] with 0 for the drawn token and -inf for all others."""
        uniform = self.uniforms[:, input_ids.shape[1] - self.prompt, None]
        likely, tokens = scores.float().softmax(dim=-1).sort(dim=-1, descending=True, stable=True)
        reached = likely.cumsum(dim=-1)
        inside = reached - likely < self.top_p
        size = inside.sum(dim=-1, keepdim=True)
        mark = uniform * reached.gather(1, size - 1)
        place = (reached <= mark).sum(dim=-1, keepdim=True).minimum(size - 1)
        return torch.full_like(scores, -torch.inf).scatter(1, tokens.gather(1, place), 0.0)
