"""MMICL: vision-language models that learn from several images in context."""

__version__ = "0.1.0"
