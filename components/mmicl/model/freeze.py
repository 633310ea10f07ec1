"""Which weights learn: recipes as patterns of parameter names.

Stage I trains Q-Former, queries and projection (design document and paper agree). Stage II trains
the projection and some of T5's attention projections, where the sources differ (see the table in
docs/architecture.md): `design` keys and values of every attention (the design document), `paper`
queries and values (the paper's overview figure), `released` queries of self-attention alone (what
the released code really trains), `all` the three of them. Encoder, embeddings, norms, feed-forward
layers and language head never learn. T5's attentions have no biases.

With LoRA the projection learns whole, and adapters learn in place of the attention projections. The
embeddings of tokens, the proxies, may learn as well: the released MMICL's are never trained.
"""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mmicl.config import Lora
from mmicl.errors import UserError
from mmicl.model.lora import add_adapters, add_rows

if TYPE_CHECKING:
    from transformers import Blip2ForConditionalGeneration

_PROJECTION = r"language_projection\.(weight|bias)"
_LANGUAGE = "language_model."
_ANY_ATTENTION = r"language_model\..*\.(SelfAttention|EncDecAttention)"

RECIPES: dict[str, tuple[str, ...]] = {
    "stage1": (r"query_tokens", r"qformer\..*", _PROJECTION),
    "design": (_PROJECTION, rf"{_ANY_ATTENTION}\.[kv]\.weight"),
    "paper": (_PROJECTION, rf"{_ANY_ATTENTION}\.[qv]\.weight"),
    "released": (_PROJECTION, r"language_model\..*\.SelfAttention\.q\.weight"),
    "all": (_PROJECTION, rf"{_ANY_ATTENTION}\.[qkv]\.weight"),
}


def select_trainable(
    model: "Blip2ForConditionalGeneration",
    recipe: str,
    lora: Lora | None = None,
    tokens: Sequence[int] = (),
) -> list[str]:
    """Let a recipe's parameters learn, and freeze all others.

    Args:
        model: Gets adapters where LoRA is asked for.
        recipe: A name of RECIPES.
        lora: Train adapters of the recipe's attention projections instead of these.
        tokens: Ids of tokens whose embeddings learn as well.

    Returns:
        The names of those that learn, sorted.

    Raises:
        UserError: No such recipe, or a pattern of it fits no parameter of this model.
    """
    if recipe not in RECIPES:
        raise UserError(f"no recipe {recipe}", remedy=f"recipes are {', '.join(RECIPES)}")
    parameters = dict(model.named_parameters())
    chosen: set[str] = set()
    for pattern in RECIPES[recipe]:
        found = {name for name in parameters if re.fullmatch(pattern, name)}
        if not found:
            raise UserError(f"recipe {recipe}: no parameter fits {pattern}")
        chosen |= found
    if lora is not None:
        attention = {name for name in chosen if name.startswith(_LANGUAGE)}
        chosen = chosen - attention | set(add_adapters(model, attention, lora))
    if tokens:
        chosen.add(add_rows(model, tokens))
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name in chosen)
    return sorted(chosen)


def set_modes(model: "Blip2ForConditionalGeneration") -> None:
    """Training mode for the parts in which something learns, evaluation mode for the frozen ones.

    A frozen part must not draw dropout: cached features are those of evaluation mode.
    """
    model.train()
    for part in model.children():
        part.train(any(parameter.requires_grad for parameter in part.parameters()))
