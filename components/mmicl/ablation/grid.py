"""The grid of an ablation, or the part of it that is asked for."""

from collections.abc import Sequence

from mmicl.config import Ablation
from mmicl.errors import UserError


def choose_grid(
    whole: Ablation, seeds: Sequence[int] | None, variants: Sequence[str] | None
) -> Ablation:
    """The part of the grid that is asked for; claims without both variants stay unmeasured.

    Raises:
        UserError: A variant that the grid does not have.
    """
    if unknown := sorted(set(variants or ()) - set(whole.variants)):
        raise UserError(
            f"no variant named {', '.join(unknown)}",
            where="ablation.variants",
            remedy=f"there are {', '.join(whole.variants)}",
        )
    chosen = {
        name: overrides
        for name, overrides in whole.variants.items()
        if variants is None or name in variants
    }
    return whole.model_copy(update={"seeds": list(seeds or whole.seeds), "variants": chosen})
