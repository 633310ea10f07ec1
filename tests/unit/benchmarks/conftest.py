"""What the tests of scorers share."""

import shutil
from typing import Any

import pytest


@pytest.fixture(autouse=True)
def _without_java(monkeypatch: pytest.MonkeyPatch) -> None:
    """No METEOR: starting its Java takes seconds, and the oracle tests do it."""
    which = shutil.which

    def find(name: str, *arguments: Any, **options: Any) -> str | None:
        return None if name == "java" else which(name, *arguments, **options)

    monkeypatch.setattr(shutil, "which", find)
