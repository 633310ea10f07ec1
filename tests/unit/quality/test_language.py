"""Texts that are not English are told, and English ones are left in peace."""

import json
from pathlib import Path

import pytest

from mmicl.quality.language import is_foreign


@pytest.mark.parametrize(
    "text",
    [
        "что это?",
        "这张图片里有什么",
        "Was steht auf dem Tisch neben der roten Lampe heute",
        "Quelle est la couleur du bus qui passe devant le bâtiment",
        "¿De qué color es el coche que está al lado de la casa?",
    ],
)
def test_other_languages_are_foreign(text: str) -> None:
    assert is_foreign(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "café",
        "Was ist das",  # too short to tell
        "what colour is the small circle left of the large square?",
        "red circle left of blue square and green triangle above it",
        "12 7 40 3 9 11 8 22 31",
    ],
)
def test_english_and_what_is_too_short_is_not(text: str) -> None:
    assert not is_foreign(text)


def test_real_captions_are_english(shared_data: Path) -> None:
    captions = json.loads((shared_data / "coco_photos/annotations/captions.json").read_text())
    texts = [entry["caption"] for entry in captions["annotations"]]
    assert len(texts) == 150
    assert not [text for text in texts if is_foreign(text)]
