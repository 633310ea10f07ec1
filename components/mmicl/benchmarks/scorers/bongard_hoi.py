"""Bongard-HOI: accuracy over query pictures, by split, and the mean of the four.

NVlabs/Bongard-HOI train_meta_image_dist_bbox.py @ 1135ba5: each problem asks about two pictures,
the last positive one (class 0) and the last negative one (class 1), and each counts for itself.
"""

from collections.abc import Mapping, Sequence

SPLITS = (
    "seen_cat_seen_act", "seen_cat_unseen_act", "unseen_cat_seen_act", "unseen_cat_unseen_act",
)  # fmt: skip
RIGHT = (0, 1)


def name_split(name: str) -> str:
    """The split that a file's name ends with, or the name; files say `obj`, the code says `cat`."""
    official = name.replace("_obj_", "_cat_")
    return next((split for split in SPLITS if official.endswith(f"_{split}")), name)


def score(splits: Mapping[str, Sequence[tuple[int, int]]]) -> dict[str, float]:
    """Accuracies as shares, of pairs of predicted classes by split; `avg` where there are four."""
    scores = {}
    for name, pairs in splits.items():
        hits = [given == right for pair in pairs for given, right in zip(pair, RIGHT, strict=True)]
        scores[name] = sum(hits) / len(hits)
    if len(scores) == len(SPLITS):
        scores["avg"] = sum(scores.values()) / len(SPLITS)
    return scores
