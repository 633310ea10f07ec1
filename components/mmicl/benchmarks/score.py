"""`mmicl score`: anybody's predictions by the official rule of a benchmark."""

from pathlib import Path
from typing import Any

from mmicl.errors import UserError


def score_files(
    name: str, predictions: Path, references: Path | None = None, *, per_item: bool = False
) -> dict[str, Any]:
    """Score prediction files.

    Args:
        name: The benchmark, such as pope.
        predictions: File or folder in the benchmark's official format (see `official.py`).
        references: The official annotations; None for benchmarks whose prediction files carry the
            right answers (MME, BLINK).
        per_item: Add the judgement of every item.

    Returns:
        `benchmark`, `n` (items), `metrics` in the official tool's names and units, and where there
        are any `warnings`; with `per_item` also `per_item`.

    Raises:
        UserError: No such benchmark or file.
        DataError: A file is malformed, or predictions and references do not fit.
    """
    from mmicl.benchmarks.official import OFFICIAL

    if name not in OFFICIAL:
        raise UserError(
            "no such benchmark", where=name, remedy=f"there are {', '.join(sorted(OFFICIAL))}"
        )
    for path in filter(None, (predictions, references)):
        if not path.exists():
            raise UserError("no such file or folder", where=path)
    scored = OFFICIAL[name](predictions, references)
    result: dict[str, Any] = {"benchmark": name, "n": scored.n, "metrics": scored.metrics}
    warnings = list(scored.warnings)
    if empty := sum(not text.strip() for text in scored.written):
        warnings.append(f"{empty} answers are empty, scored as the official tool does")
    if warnings:
        result["warnings"] = warnings
    if per_item:
        result["per_item"] = scored.per_item
    return result
