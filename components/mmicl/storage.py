"""S3 and what speaks its protocol: the one door to boto3.

Credentials, region and endpoint come from the environment (`AWS_ACCESS_KEY_ID`, `AWS_PROFILE`,
`AWS_ENDPOINT_URL_S3`, …) by boto3's own rules, never from params.yaml or a URI. Without any
credentials requests go unsigned, as public buckets take them.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import boto3
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,
    HTTPClientError,
    IncompleteReadError,
)

from mmicl.errors import DataError, TransientError, UserError

BLOCK = 1 << 20
"""Bytes of one object that one reader holds in memory."""
READ_SECONDS = 60
TRIES = 5
"""Of one request by botocore, with its own growing pauses."""
TRANSIENT_CODES = {
    "SlowDown",
    "InternalError",
    "ServiceUnavailable",
    "RequestTimeout",
    "Throttling",
}


@dataclass(frozen=True)
class StoredObject:
    """One object of a bucket; `etag` is the server's mark of this very content."""

    key: str
    size: int
    etag: str


class Bucket:
    """Lists and reads the objects of one bucket; one instance may serve several threads."""

    def __init__(self, name: str, *, connections: int) -> None:
        session = boto3.Session()
        options: dict[str, Any] = {
            "retries": {"mode": "standard", "max_attempts": TRIES},
            "max_pool_connections": connections,
            "read_timeout": READ_SECONDS,
        }
        self.name = name
        with _explain_errors(name):
            if session.get_credentials() is None:
                options["signature_version"] = UNSIGNED
            self._client = session.client("s3", config=Config(**options))

    def list_objects(self, prefix: str) -> Iterator[StoredObject]:
        """Every object whose key begins with `prefix`, in the order of keys.

        Raises:
            UserError: No such bucket, or no right to list it.
            TransientError: The server cannot be reached, or is busy.
        """
        with _explain_errors(f"s3://{self.name}/{prefix}"):
            pages = self._client.get_paginator("list_objects_v2")
            for page in pages.paginate(Bucket=self.name, Prefix=prefix):
                for entry in page.get("Contents", []):
                    yield StoredObject(entry["Key"], entry["Size"], entry["ETag"])

    def read_object(self, item: StoredObject, start: int, end: int) -> Iterator[bytes]:
        """The bytes from `start` up to `end` (excluded) of an object, in blocks.

        Raises:
            DataError: The object changed since it was listed, or is gone.
            UserError: No right to read it.
            TransientError: The server cannot be reached, or broke off.
        """
        with _explain_errors(f"s3://{self.name}/{item.key}"):
            answer = self._client.get_object(
                Bucket=self.name, Key=item.key, IfMatch=item.etag, Range=f"bytes={start}-{end - 1}"
            )
            with contextlib.closing(answer["Body"]) as body:
                yield from body.iter_chunks(BLOCK)


@contextlib.contextmanager
def _explain_errors(where: str) -> Iterator[None]:
    """Turn what boto3 raises into errors of one line."""
    try:
        yield
    except ClientError as error:
        answer = error.response
        status = answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        code, message = answer["Error"]["Code"], answer["Error"].get("Message", "")
        if code in ("PreconditionFailed", "412", "NoSuchKey", "InvalidRange"):
            message = f"changed upstream while it was fetched ({code})"
            raise DataError(message, where=where, remedy="run again") from None
        if status >= 500 or status == 429 or code in TRANSIENT_CODES:
            raise TransientError(f"the server answered {code}: {message}", where=where) from None
        remedy = "check the URI, AWS_ENDPOINT_URL_S3 and the credentials in the environment"
        raise UserError(
            f"the server answered {code}: {message}", where=where, remedy=remedy
        ) from None
    except (ConnectionError, HTTPClientError, IncompleteReadError) as error:
        raise TransientError(str(error), where=where) from None
    except BotoCoreError as error:
        remedy = "check the AWS_… variables of the environment"
        raise UserError(str(error), where=where, remedy=remedy) from None
