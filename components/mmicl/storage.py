"""S3 and what speaks its protocol: the one door to boto3.

Credentials come from the environment alone: `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and, for
temporary ones, `AWS_SESSION_TOKEN`. The rest of boto3's chain (files below ~/.aws, profiles, the
machine's own role) is not asked, so that a run does not depend on what lies on a machine; nor are
params.yaml or a URI. Without credentials requests go unsigned, as public buckets take them. Region
and endpoint (`AWS_DEFAULT_REGION`, `AWS_ENDPOINT_URL_S3`, …) go by boto3's own rules.
"""

import contextlib
import os
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
"""Of one request by botocore, the first among them, with its own growing pauses."""
CREDENTIALS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
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
        keys = _read_credentials()
        options: dict[str, Any] = {
            "retries": {"mode": "standard", "total_max_attempts": TRIES},
            "max_pool_connections": connections,
            "read_timeout": READ_SECONDS,
        }
        if "aws_access_key_id" not in keys:
            options["signature_version"] = UNSIGNED
        self.name = name
        with _explain_errors(name):
            self._client = boto3.Session().client("s3", config=Config(**options), **keys)

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


def _read_credentials() -> dict[str, Any]:
    """Credentials as parameters of boto3's client, which then looks for no others."""
    return {name.lower(): value for name in CREDENTIALS if (value := os.environ.get(name))}


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
