"""Held-out pictures that look like one that is trained on, over all datasets."""

from collections.abc import Iterable, Mapping
from typing import Any

from mmicl.mic.builder import HELD_OUT as HELD_OUT_PARTS
from mmicl.quality.contamination import find_alike
from mmicl.quality.stored import StoredRows
from mmicl.records import split_reference

Tables = Mapping[str, StoredRows]
HELD_OUT = ("val", "test")


def find_twins(examples: Tables, samples: Tables, pictures: Tables) -> dict[str, str]:
    """Pictures of the splits held out -> the one they look like that a sample shows.

    Those of val and test are held against the samples that are trained on, worked examples
    included; those of test against the parts held out as well, which choose among the weights.
    Panels of matrices are left out, as in `mmicl.mic.selection.find_held_out`.

    Args:
        examples: Rows of Example by dataset.
        samples: Rows of Sample by part.
        pictures: Rows of `PictureRow` by dataset.
    """
    asked: dict[str, set[str]] = {split: set() for split in HELD_OUT}
    for rows in examples.values():
        for row in rows.walk("split", "task", "images"):
            if row["split"] in asked:
                asked[row["split"]] |= _list_pictures(row)
    shown = {
        part: {key for row in rows.walk("task", "images") for key in _list_pictures(row)}
        for part, rows in samples.items()
    }
    chosen_by = set[str]().union(*(shown.pop(part) for part in HELD_OUT_PARTS))
    trained = set[str]().union(*shown.values(), chosen_by - asked["val"])  # its worked examples
    wanted = asked["val"] | asked["test"] | trained | chosen_by
    looks = {
        row["sha256"]: row["look"]
        for rows in pictures.values()
        for row in rows.walk("sha256", "look")
        if row["sha256"] in wanted
    }

    def compare(ours: Iterable[str], theirs: Iterable[str]) -> dict[str, str]:
        one, other = ({key: looks[key] for key in keys if key in looks} for keys in (ours, theirs))
        return find_alike(one, other)

    twins = compare(asked["val"] | asked["test"], trained)
    return compare(asked["test"] - set(twins), chosen_by) | twins


def _list_pictures(row: dict[str, Any]) -> set[str]:
    """The stored pictures of a row."""
    if row["task"] == "raven":
        return set()
    return {split_reference(image)[0] for image in row["images"] or [] if image}
