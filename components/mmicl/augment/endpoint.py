"""The one door to an OpenAI-compatible server, through its own client library."""

import json

from mmicl.augment.prompts import ParaphraseRequest
from mmicl.augment.replies import Reply
from mmicl.config import Augment
from mmicl.errors import MmiclError, TransientError, UserError

KEY_VARIABLE = "OPENAI_API_KEY"
MAX_DETAIL = 200
"""Characters of a server's own words that an error repeats."""


class Endpoint:
    """Asks one request at a time; threads may share it.

    The library tries again after 408, 409, 429, 5xx, a lost connection or a timeout, up to
    `retries` times: after the server's Retry-After (at most two minutes: if told to wait longer it
    gives up), otherwise after half a second, twice as long each time, eight seconds at most.
    """

    def __init__(self, config: Augment, key: str) -> None:
        import openai  # seconds, which a chain without an endpoint does not pay

        self._config, self._key = config, key
        self._client = openai.OpenAI(
            api_key=key,
            base_url=config.base_url,
            timeout=config.timeout,
            max_retries=config.retries,
        )

    def ask(self, request: ParaphraseRequest) -> Reply:
        """Send a request and wait for its answer.

        Raises:
            UserError: The server refuses the key or the request, or speaks another protocol.
            TransientError: It did not answer, after all tries.
        """
        import openai

        try:
            answer = self._client.chat.completions.create(**request.body)
        except openai.APIError as error:
            raise self._explain(error) from None
        except json.JSONDecodeError:
            raise self._transient("the answer is not whole JSON") from None
        choices = getattr(answer, "choices", None)
        if not choices or getattr(choices[0], "message", None) is None:
            raise UserError(
                "the answer is no chat completion",
                where=self._config.base_url,
                remedy="augment.base_url is the part before /chat/completions, often …/v1",
            )
        usage = answer.usage
        return Reply(
            model=str(answer.model),
            text=choices[0].message.content,
            finish=str(choices[0].finish_reason),
            input_tokens=None if usage is None else usage.prompt_tokens,
            output_tokens=None if usage is None else usage.completion_tokens,
        )

    def close(self) -> None:
        """Give the connections back."""
        self._client.close()

    def _explain(self, error: Exception) -> MmiclError:
        """The library's error as one of ours, without the key, which a server may repeat."""
        import openai

        where = self._config.base_url
        if isinstance(error, openai.AuthenticationError | openai.PermissionDeniedError):
            return UserError(
                f"the endpoint refuses the key (HTTP {error.status_code})",
                where=where,
                remedy=f"check {KEY_VARIABLE}",
            )
        detail = " ".join(str(error).replace(self._key, "…").split())[:MAX_DETAIL]
        passing = openai.RateLimitError | openai.InternalServerError | openai.APIConnectionError
        if isinstance(error, passing) or getattr(error, "status_code", 0) in (408, 409):
            return self._transient(detail)
        return UserError(
            f"the endpoint refuses the request ({detail})",
            where=where,
            remedy="check augment.base_url and augment.model",
        )

    def _transient(self, detail: str) -> TransientError:
        return TransientError(
            f"no answer in up to {self._config.retries + 1} tries ({detail})",
            where=self._config.base_url,
            remedy="answers that came are kept; run again",
        )
