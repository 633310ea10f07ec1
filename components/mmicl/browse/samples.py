"""The built samples, filtered and cut into pages while they are read.

Tables may hold millions of rows: a page costs one pass over the columns that its filter needs, and
the memory of a few batches.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from mmicl.errors import DataError, UserError
from mmicl.mic.builder import PARTS

BATCH_ROWS = 2048
MAX_TEXT = 200
"""Signs of a text search."""
NAMED = ("dataset", "task", "split")
"""Columns that are filtered by their value."""
SEARCHED = ("id", "source", "prompt", "target")
FACETS = ("part", *NAMED, "images")


@dataclass(frozen=True)
class Choice:
    """Which samples are wanted; an empty field wants them all.

    Attributes:
        part: Of `mmicl.mic.builder.PARTS`.
        dataset: Its name in params.
        task: Of the instruction bank.
        split: train or val.
        images: Their number in the prompt.
        text: Part of the id, of the query's Example, of the prompt or of the target, in any case.
        page: Counted from 1.
    """

    part: str = ""
    dataset: str = ""
    task: str = ""
    split: str = ""
    images: str = ""
    text: str = ""
    page: int = 1

    def turn(self, page: int) -> "Choice":
        """The same samples, another page."""
        return replace(self, page=page)

    def fields(self) -> dict[str, str]:
        """The fields that are set, as a request or `parse_choice` has them."""
        page = str(self.page) if self.page > 1 else ""
        return {name: text for name, text in {**vars(self), "page": page}.items() if text}


def parse_choice(fields: Mapping[str, str]) -> Choice:
    """A Choice from texts that a person or a request gives.

    Raises:
        UserError: A field is unknown, a number is none, or a text is too long.
    """
    for name, text in fields.items():
        if name not in vars(Choice()):
            known = ", ".join(vars(Choice()))
            raise UserError("no such filter", where=name[:40], remedy=f"there are {known}")
        if len(text) > MAX_TEXT:
            raise UserError(f"more than {MAX_TEXT} signs", where=name)
        if name in ("images", "page") and text and not (text.isascii() and text.isdigit()):
            raise UserError("not a number", where=name)
    page = min(max(1, int(fields.get("page") or 1)), 10**9)
    return Choice(**{name: text for name, text in fields.items() if name != "page"}, page=page)


class SampleTables:
    """The samples in a folder that the stage build wrote.

    Raises:
        DataError: There are none, or a file is no table of samples.
    """

    def __init__(self, folder: Path) -> None:
        files = {part: folder / f"{part}.parquet" for part in PARTS}
        self._parts = {part: _open(path) for part, path in files.items() if path.is_file()}
        if not self._parts:
            raise DataError("no samples", where=folder, remedy="run the stage build")
        self.facets = self._count_facets()
        """Column of `FACETS` -> value -> number of samples."""

    def find(self, choice: Choice, size: int) -> tuple[int, list[dict[str, Any]]]:
        """How many samples fit, and those of the page: rows of `Sample` with their `part`."""
        start, total = (choice.page - 1) * size, 0
        rows: list[dict[str, Any]] = []
        for part, table in self._parts.items():
            if choice.part not in ("", part):
                continue
            wanted = _filter(choice)
            count = table.count_rows(filter=wanted)
            if total + count > start and len(rows) < size:
                found = _slice(table, wanted, max(0, start - total), size - len(rows))
                rows += [{**row, "part": part} for row in found]
            total += count
        return total, rows

    def _count_facets(self) -> dict[str, dict[str, int]]:
        counts: dict[str, Counter[str]] = {name: Counter() for name in FACETS}
        columns = {name: ds.field(name) for name in NAMED}
        columns["images"] = pc.list_value_length(ds.field("images"))  # pyright: ignore
        for part, table in self._parts.items():
            for batch in table.to_batches(columns=columns, batch_size=BATCH_ROWS):
                counts["part"][part] += batch.num_rows
                for name in columns:
                    for item in pc.value_counts(batch.column(name)).to_pylist():  # pyright: ignore
                        counts[name][str(item["values"])] += item["counts"]
        return {
            name: dict(sorted(count.items(), key=lambda it: (len(it[0]), it[0])))
            if name == "images"
            else dict(sorted(count.items()))
            for name, count in counts.items()
        }


def _open(path: Path) -> ds.FileSystemDataset:
    try:
        return ds.dataset(path, format="parquet")
    except (pa.ArrowInvalid, OSError) as error:
        raise DataError(f"not a table of samples ({error})", where=path) from None


def _filter(choice: Choice) -> Any:
    """The rows of a part that are wanted, as an expression of pyarrow; None wants them all."""
    wanted = [ds.field(name) == text for name in NAMED if (text := getattr(choice, name))]
    if choice.images:
        wanted.append(pc.list_value_length(ds.field("images")) == int(choice.images))  # pyright: ignore
    if choice.text:
        found = [
            pc.match_substring(ds.field(name), choice.text, ignore_case=True)  # pyright: ignore
            for name in SEARCHED
        ]
        wanted.append(found[0] | found[1] | found[2] | found[3])  # pyright: ignore
    whole = None
    for one in wanted:
        whole = one if whole is None else whole & one
    return whole


def _slice(table: ds.FileSystemDataset, wanted: Any, skip: int, size: int) -> list[dict[str, Any]]:
    """`size` of the wanted rows, after the first `skip`."""
    rows: list[dict[str, Any]] = []
    for batch in table.to_batches(
        filter=wanted, batch_size=BATCH_ROWS, batch_readahead=1, fragment_readahead=1
    ):
        rows += batch.slice(min(skip, batch.num_rows), size - len(rows)).to_pylist()
        skip = max(0, skip - batch.num_rows)
        if len(rows) == size:
            break
    return rows
