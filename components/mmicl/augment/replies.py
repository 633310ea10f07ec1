"""Answers of the endpoint, kept under the state folder: what was paid once is not paid again."""

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mmicl.augment.prompts import ParaphraseRequest
from mmicl.errors import DataError
from mmicl.files import read_json, write_json

Tokens = Annotated[int, Field(ge=0)]


class Reply(BaseModel):
    """One answer as it came, unchecked.

    Attributes:
        model: The model's name as the server reports it, often with a date.
        text: The answer; None where the model refused.
        finish: Why it ended; `length` means that it was cut off.
        input_tokens: Of the prompt; None where the server does not report usage.
        output_tokens: Of the answer, likewise.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    text: str | None
    finish: str
    input_tokens: Tokens | None
    output_tokens: Tokens | None


class ReplyCache:
    """One JSON file an answer, named by its request's key, with the request beside the answer."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def find(self, request: ParaphraseRequest) -> Reply | None:
        """The answer to this very request, if it ever came.

        Raises:
            DataError: The file is damaged; names it.
        """
        path = self._path(request)
        if not path.exists():
            return None
        try:
            return Reply.model_validate(read_json(path)["reply"])
        except (ValidationError, KeyError, TypeError):
            raise DataError("not a kept answer", where=path, remedy="delete the file") from None

    def keep(self, request: ParaphraseRequest, reply: Reply) -> None:
        """Write an answer, whole or not at all."""
        value = {"body": request.body, "reply": reply.model_dump()}
        write_json(self._path(request), value)

    def _path(self, request: ParaphraseRequest) -> Path:
        return self._folder / request.key[:2] / f"{request.key}.json"
