"""The type of the fixture `tiny`."""

from typing import Any

from mmicl.model.processor import MmiclProcessor

Tiny = tuple[Any, MmiclProcessor]
"""A `Blip2ForConditionalGeneration` (whose attributes transformers does not declare)."""
