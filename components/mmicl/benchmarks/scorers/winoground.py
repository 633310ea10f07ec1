"""Winoground's text, image and group scores (Thione et al., CVPR 2022; facebook/winoground).

Of an item's four scores s[caption][image], caption k belongs to image k. Ties are failures.
"""

from collections.abc import Sequence

ITEMS = 400
Scores = Sequence[Sequence[float]]
"""s[caption][image], 2 x 2."""


def text_correct(s: Scores) -> bool:
    """For each image the right caption scores higher."""
    return s[0][0] > s[1][0] and s[1][1] > s[0][1]


def image_correct(s: Scores) -> bool:
    """For each caption the right image scores higher."""
    return s[0][0] > s[0][1] and s[1][1] > s[1][0]


def score(items: Sequence[Scores]) -> dict[str, float]:
    """The three scores as shares of items."""
    text = [text_correct(item) for item in items]
    image = [image_correct(item) for item in items]
    group = [one and other for one, other in zip(text, image, strict=True)]
    return {
        "text": sum(text) / len(items),
        "image": sum(image) / len(items),
        "group": sum(group) / len(items),
    }
