"""Official JSON files that hold their records one level down; records without public answers."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from mmicl.errors import DataError
from mmicl.records import Split
from mmicl.sources.official import Record, RecordError, write_plainly
from mmicl.sources.reading import ReadContext

NO_OBJECT = "not a JSON object"


def read_list(
    context: ReadContext, path: Path, section: str, split: Split, key: str
) -> Iterator[Record]:
    """The entries of one list of an object; an id is the field `key`, or the entry's place.

    Raises:
        DataError: The file is not JSON or has no such list.
    """
    for number, entry in enumerate(context.stream_section(path, section), start=1):
        own = f"record {number}"
        if isinstance(entry, dict):
            yield Record(split, write_plainly(str(entry.get(key, own))), context.name(path), entry)
        else:
            yield Record(split, own, context.name(path), RecordError("malformed", NO_OBJECT))


def read_object(context: ReadContext, path: Path, split: Split) -> Iterator[Record]:
    """The entries of an object of objects; an id is the entry's key.

    Raises:
        DataError: The file is not JSON or no object.
    """
    for key, entry in context.stream_mapping(path):
        error = RecordError("malformed", NO_OBJECT)
        found = entry if isinstance(entry, dict) else error
        yield Record(split, write_plainly(key), context.name(path), found)


def read_mapping(context: ReadContext, path: Path, what: str) -> dict[str, Any]:
    """A whole object of entries by key; `what` says of what, for the error.

    Raises:
        DataError: The file is not JSON or no object.
    """
    value = context.read_json(path)
    if not isinstance(value, dict):
        where = f"{context.dataset}: {context.name(path)}"
        raise DataError(f"is no object of {what}", where=where)
    return value


def keep_public(
    context: ReadContext, records: Iterable[Record], field: str, what: str = "questions"
) -> Iterator[Record]:
    """Count records of a test split that lack `field`: their answers were never published.

    In another split the lack is a fault, which the reader rejects.
    """
    for record in records:
        value = record.value
        if record.split == "test" and isinstance(value, dict) and field not in value:
            context.unused[f"{what} of test without public answers"] += 1
        else:
            yield record
