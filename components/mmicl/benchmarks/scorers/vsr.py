"""VSR: accuracy, overall and by relation and its meta category.

cambridgeltl/visual-spatial-reasoning @ b1cf884: src/eval.py, and in analysis_scripts
eval_compute_acc_by_rel.py and eval_compute_acc_by_rel_meta_cat.py with rel_meta_category_dict.txt.
"""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

CATEGORIES = {
    "Adjacency": "adjacent to, alongside, at the side of, at the right side of, at the left side "
    "of, attached to, at the back of, ahead of, against, at the edge of",
    "Directional": "off, past, toward, down, deep down, up, away from, along, around, from, into, "
    "to, across, across from, through, down from",
    "Orientation": "facing, facing away from, parallel to, perpendicular to",
    "Projective": "on top of, beneath, beside, behind, left of, right of, under, in front of, "
    "below, above, over, in the middle of",
    "Proximity": "by, close to, near, far from, far away from",
    "Topological": "connected to, detached from, has as a part, part of, contains, within, at, on, "
    "in, with, surrounding, among, consists of, out of, between, inside, outside, touching",
    "Unallocated": "beyond, next to, opposite to, after, among, enclosed by",
}
CATEGORY = {
    relation: name for name, relations in CATEGORIES.items() for relation in relations.split(", ")
}
"""Relation -> meta category; `among`, which the official file has twice, is in the last."""


def score(judged: Iterable[tuple[str, bool]]) -> dict[str, Any]:
    """Accuracy as a share, and by meta category and relation pairs `{"accuracy", "n"}`.

    Args:
        judged: Each statement's relation, and whether its label was given. A relation without a
            meta category counts in the other two alone.
    """
    hits: dict[tuple[str, str], list[bool]] = defaultdict(list)
    every = []
    for relation, right in judged:
        every.append(right)
        hits["relation", relation].append(right)
        if relation in CATEGORY:
            hits["meta_category", CATEGORY[relation]].append(right)
    scores: dict[str, Any] = {"accuracy": sum(every) / len(every)}
    for table in ("meta_category", "relation"):
        scores[table] = {
            name: {"accuracy": sum(values) / len(values), "n": len(values)}
            for (kind, name), values in sorted(hits.items())
            if kind == table
        }
    return scores
