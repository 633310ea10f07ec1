"""One exception tree. Every error says what is wrong, where, and what to do, in one line."""

from typing import ClassVar, Literal

Kind = Literal["user", "data", "memory", "transient", "bug"]


class MmiclError(Exception):
    """Base of all errors that the product raises on purpose.

    Args:
        message: What is wrong, without a full stop.
        where: The file, record or parameter concerned.
        remedy: What the reader can do about it.
    """

    kind: ClassVar[Kind] = "bug"

    def __init__(self, message: str, *, where: object = None, remedy: str | None = None) -> None:
        self.message, self.where, self.remedy = message, where, remedy
        text = message if where is None else f"{where}: {message}"
        text = text if remedy is None else f"{text}; {remedy}"
        super().__init__(" ".join(text.split()))


class UserError(MmiclError):
    """A wrong command, parameter or environment."""

    kind = "user"


class ConfigError(UserError):
    """params.yaml or a profile does not describe a valid run."""


class BusyError(UserError):
    """Something else holds what is needed (a port, a stage, a run folder)."""


class DataError(MmiclError):
    """Data that cannot be used: missing, malformed, or over the quarantine threshold."""

    kind = "data"


class ResourceError(MmiclError):
    """Out of memory or disk; the message says which launch parameter to change."""

    kind = "memory"


class TransientError(MmiclError):
    """May pass when tried again: a network fault, a busy server."""

    kind = "transient"
