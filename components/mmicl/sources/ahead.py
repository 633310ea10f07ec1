"""A dataset's records read while other processes check the pictures of those that come next.

Each record is looked at twice: once to note which pictures it shows, and, when these have been
checked, once to make Examples of it. The second time is the one that counts, and is the same as
without any of this, in the same order: what others have checked only saves the time of doing so.
"""

import contextlib
import logging
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from mmicl.errors import MmiclError
from mmicl.images.ahead import Checker
from mmicl.images.checks import Check
from mmicl.images.store import Scout
from mmicl.processes import Stream
from mmicl.records import Example, Rejected
from mmicl.sources.official import Record
from mmicl.sources.reader import Reader
from mmicl.sources.reading import ReadContext

log = logging.getLogger(__name__)

SMALL = 4096
"""Pictures of a dataset that are checked where it is read: less is not worth a second process."""
WORK_PICTURES = 256
WORK_BYTES = 8 * 2**20
"""Of pictures that come within other files, and so are sent along."""
WORK_RECORDS = 4096


@dataclass
class Sharing:
    """Who checks the pictures of a large dataset, and where finished works are kept.

    Attributes:
        share: Opens what does works (`mmicl.launch.sharing.share_out`); not called for a small one.
        folder: Of this dataset and fingerprint alone. What a killed ingest has finished is there.
        works: How many works there were.
        taken_up: How many of them an earlier start had finished.
    """

    share: Callable[[], AbstractContextManager[Stream]]
    folder: Path
    works: int = 0
    taken_up: int = 0


def read_ahead(
    reader: Reader, context: ReadContext, sharing: Sharing
) -> Iterator[list[Example] | Rejected]:
    """What `Reader.read` gives, with the pictures checked as `sharing` says.

    Raises:
        DataError: As `Reader.read`.
        UserError: As `Sharing.share`.
    """
    records = reader.find(context)
    for record in records:
        yield reader.read_record(record, context)
        if context.writer.checked >= SMALL:
            break
    else:
        return
    waiting: deque[list[Record]] = deque()
    with sharing.share() as share:
        for finished in share(Checker(sharing.folder), _cut(reader, context, records, waiting)):
            sharing.works += finished.path is not None
            sharing.taken_up += finished.earlier
            context.writer.ahead.load(finished)
            for record in waiting.popleft():
                yield reader.read_record(record, context)
    log.info(
        "%s: %d of %d works of pictures were done by an earlier start",
        context.dataset, sharing.taken_up, sharing.works,
    )  # fmt: skip


def _cut(
    reader: Reader, context: ReadContext, records: Iterator[Record], waiting: deque[list[Record]]
) -> Iterator[list[Check]]:
    """Works of the pictures that records show; the records of each wait in the works' order.

    The cuts depend on the records alone, so that a second start cuts as the first did.
    """
    scout = Scout(context.writer)
    aside = context.stand_in(scout)
    part: list[Record] = []
    for record in records:
        part.append(record)
        with contextlib.suppress(MmiclError):  # it is met again, in its turn
            reader.read_record(record, aside)
        if len(part) == WORK_RECORDS or scout.weight >= WORK_PICTURES or scout.size >= WORK_BYTES:
            waiting.append(part)
            yield scout.take()
            part = []
    if part:
        waiting.append(part)
        yield scout.take()
