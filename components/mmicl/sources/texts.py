"""Checks of official texts and numbers that no pydantic model makes."""

from collections.abc import Iterable

from pydantic_core import PydanticCustomError

from mmicl.sources.official import RESERVED, RecordError, check_text


def check_plain(text: str) -> str:
    """`check_text` outside a model.

    Raises:
        RecordError: The text is empty or holds a reserved token.
    """
    try:
        return check_text(text)
    except PydanticCustomError as error:
        raise RecordError(error.type, f"{text[:80]!r} {error.message()}") from None


def check_choice(field: str, number: int, choices: int) -> None:
    """See that the right choice's number, from 0, is that of a choice.

    Raises:
        RecordError: It is not.
    """
    if not 0 <= number < choices:
        raise RecordError("malformed", f"{field} {number} of {choices} choices")


def refuse_reserved(texts: Iterable[str]) -> None:
    """Refuse texts that are kept as they are, such as annotated answers, if one is reserved.

    Raises:
        RecordError: One holds a reserved token.
    """
    for text in texts:
        if any(token in text for token in RESERVED):
            raise RecordError("reserved_token", f"{text!r} holds a reserved token of the prompts")
