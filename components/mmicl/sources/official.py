"""An official record before it is an Example: shape, texts, and what may be wrong with it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError
from pydantic_core import PydanticCustomError

from mmicl.records import PLACEHOLDER, Split

RESERVED = ("<image", PLACEHOLDER)
"""What only the context scheme may write: a record that holds it would forge an image."""


class RecordError(Exception):
    """One record cannot be used; `reason` is one word for the quarantine, `detail` says more."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason, self.detail = reason, detail


@dataclass(frozen=True)
class Record:
    """One official record before it is checked; `value` may be the error that reading it gave."""

    split: Split
    id: str
    file: str
    value: Any


class Official(BaseModel):
    """Base of the official records' shapes: strict types, fields we do not use are ignored."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")


def check_text(text: str) -> str:
    """Collapse white space; refuse an empty text and one that holds a reserved token."""
    if any(token in text for token in RESERVED):
        raise PydanticCustomError("reserved_token", "holds a reserved token of the prompts")
    text = " ".join(text.split())
    if not text:
        raise PydanticCustomError("empty_text", "is empty")
    return text


Text = Annotated[str, AfterValidator(check_text)]
"""An official text that goes into prompts."""


def write_plainly(text: str) -> str:
    """A text from outside, short and encodable, for an id or an error (half signs become ?)."""
    return text[:300].encode("utf-8", "replace").decode()


def dump_meta(value: Mapping[str, Any]) -> str:
    """An Example's `meta`: JSON with sorted keys."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def explain_invalid(error: ValidationError) -> RecordError:
    """The first thing that is wrong with a record, as a quarantine reason."""
    first = error.errors(include_url=False, include_input=False)[0]
    reason = first["type"] if first["type"] in ("reserved_token", "empty_text") else "malformed"
    where = ".".join(map(str, first["loc"])) or "record"
    return RecordError(reason, f"{where}: {first['msg']}")
