"""Official tables of comma- or tab-separated values, as records."""

import csv
from collections.abc import Iterator
from pathlib import Path

from mmicl.errors import DataError
from mmicl.files import hash_file
from mmicl.records import Split
from mmicl.sources.official import Record, RecordError, write_plainly
from mmicl.sources.reading import ReadContext

MAX_FIELD = 64 * 2**20
"""Characters in a field: MMBench keeps whole pictures in one."""
csv.field_size_limit(MAX_FIELD)


def read_table(
    context: ReadContext,
    path: Path,
    split: Split,
    key: str,
    columns: tuple[str, ...],
    delimiter: str = ",",
) -> Iterator[Record]:
    """Read a table with a header; a record's value is {column: text}.

    A record's id is its field `key`, or its place where that is empty. A row with another number
    of fields than the header comes as a Record whose value is the error.

    Raises:
        DataError: The file is not UTF-8 or not such a table, or lacks one of `columns`.
    """
    name = context.name(path)
    where = f"{context.dataset}: {name}"
    context.sources[name] = hash_file(path)
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            rows = csv.DictReader(stream, delimiter=delimiter, strict=True)
            header = rows.fieldnames or ()
            if missing := [column for column in columns if column not in header]:
                found = ", ".join(map(str, header)) or "nothing"
                raise DataError(f"has no column {missing[0]}", where=where, remedy=f"has {found}")
            for number, row in enumerate(rows, start=1):
                if None in row or None in row.values():
                    error = RecordError("malformed", f"a row of other than {len(header)} fields")
                    yield Record(split, f"record {number}", name, error)
                else:
                    own = write_plainly(row[key]) or f"record {number}"
                    yield Record(split, own, name, row)
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"not a table in UTF-8 ({error})", where=where) from None
