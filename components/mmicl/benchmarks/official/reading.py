"""Prediction and reference files: into plain records, or an error of one line that names both."""

import csv
import io
import json
import math
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from mmicl.errors import DataError, UserError

K = TypeVar("K")
V = TypeVar("V")
_WHOLE = re.compile(r"-?\d{1,18}", re.ASCII)
_SAME_SPLIT = "give the predictions for the references' own split"


@dataclass(frozen=True)
class Scored:
    """What a benchmark's official rule makes of a prediction file.

    `metrics` carry the official tool's names and units, `per_item` its judgement of every item.
    `warnings` count what the official tool passes over in silence. `written` are the answers in
    words that were scored, of which `score_files` counts the empty ones.
    """

    n: int
    metrics: dict[str, Any]
    per_item: dict[str, Any] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    written: Collection[str] = ()


@dataclass(frozen=True)
class Record:
    """One record of a file. `where` names it in errors."""

    where: str
    value: Mapping[str, Any]

    def get(self, key: str, kind: type[V] | tuple[type[V], ...]) -> V:
        """The value of a key.

        Raises:
            DataError: The key is missing, or its value is of another type (a bool is no int).
        """
        kinds = kind if isinstance(kind, tuple) else (kind,)
        if key not in self.value:
            raise DataError(f"no {key}", where=self.where)
        value = self.value[key]
        if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
            wanted = " or ".join(one.__name__ for one in kinds)
            raise DataError(f"{key} is {_shorten(value)}, not {wanted}", where=self.where)
        return value


def read_table(path: Path, *sections: str) -> list[Record]:
    """Read a JSON array of objects, the first of an object's `sections` that it has, or JSON Lines.

    Raises:
        DataError: The file is missing, empty, neither of these, or an entry is not an object.
    """
    text = read_file(path)
    try:
        value = parse_json(text, path)
        if isinstance(value, dict):
            value = next((value[name] for name in sections if name in value), value)
        entries = [(f"entry {number}", entry) for number, entry in enumerate(_as_list(value), 1)]
    except json.JSONDecodeError:
        entries = list(_read_lines(path, text))
    if not entries:
        raise DataError("no records", where=path)
    for place, entry in entries:
        if not isinstance(entry, dict):
            raise DataError(f"{_shorten(entry)} is not an object", where=f"{path}, {place}")
    return [Record(f"{path}, {place}", entry) for place, entry in entries]


def read_entries(record: Record, key: str) -> list[Record]:
    """The objects of a list within a record.

    Raises:
        DataError: There is no such list, or an entry is not an object.
    """
    entries = record.get(key, list)
    for entry in entries:
        if not isinstance(entry, dict):
            raise DataError(f"{_shorten(entry)} in {key} is not an object", where=record.where)
    return [Record(record.where, entry) for entry in entries]


def read_mapping(path: Path, section: str | None = None) -> dict[str, Any]:
    """Read a JSON object, or an object's `section` that is one; a key twice is an error.

    Raises:
        DataError: The file is missing or not such an object.
    """

    def refuse_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        seen = dict(pairs)
        if len(seen) != len(pairs):
            names = [name for name, _ in pairs]
            twice = next(name for name in names if names.count(name) > 1)
            raise DataError(f"{twice} stands twice", where=path)
        return seen

    try:
        value = parse_json(read_file(path), path, refuse_repeats)
    except json.JSONDecodeError as error:
        raise DataError(f"not JSON ({error})", where=path) from None
    if section and isinstance(value, dict):
        value = value.get(section, value)
    if not isinstance(value, dict) or not value:
        raise DataError("not an object with records", where=path)
    return value


def read_csv(path: Path, columns: Iterable[str] | None = None) -> list[Record]:
    """Read comma-separated rows; without `columns` the first row names them.

    Raises:
        DataError: The file is missing or empty, or a row has another number of columns.
    """
    try:
        rows = [row for row in csv.reader(io.StringIO(read_file(path), newline="")) if row]
    except csv.Error as error:
        raise DataError(f"not CSV ({error})", where=path) from None
    first = 1 if columns is not None else 2
    names = list(columns) if columns is not None else (rows.pop(0) if rows else [])
    if not rows:
        raise DataError("no rows", where=path)
    for number, row in enumerate(rows, first):
        if len(row) != len(names):
            message = f"{len(row)} columns, not {len(names)}"
            raise DataError(message, where=f"{path}, line {number}")
    return [
        Record(f"{path}, line {number}", dict(zip(names, row, strict=True)))
        for number, row in enumerate(rows, first)
    ]


def read_file(path: Path) -> str:
    """Read UTF-8 text.

    Raises:
        UserError: There is no such file.
        DataError: It is a folder, or not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise UserError("no such file", where=path) from None
    except IsADirectoryError:
        raise UserError("is a folder, not a file", where=path) from None
    except UnicodeDecodeError as error:
        raise DataError(f"not UTF-8 ({error})", where=path) from None


def read_lines(path: Path) -> list[str]:
    """The lines of a text file.

    Line feeds alone end them, as they do for the official tools: str.splitlines would also cut an
    answer in two at a form feed or at U+2028.

    Raises:
        UserError: There is no such file.
        DataError: It is a folder, or not UTF-8.
    """
    text = read_file(path)
    return text.removesuffix("\n").split("\n") if text else []


def parse_json(
    text: str, where: object, hook: Callable[[list[tuple[str, Any]]], Any] | None = None
) -> Any:
    """The value of a JSON text; `hook` makes objects of their pairs.

    Raises:
        json.JSONDecodeError: The text is not JSON.
        DataError: It is, but with more digits or levels than Python takes.
    """
    try:
        return json.loads(text, object_pairs_hook=hook)
    except json.JSONDecodeError:
        raise
    except ValueError:
        raise DataError("a number has too many digits", where=where) from None
    except RecursionError:
        raise DataError("nested too deeply", where=where) from None


def parse_digits(text: str) -> int | None:
    """The number that up to 18 digits stand for, None for any other text.

    str.isdigit is no test for that: it takes a superscript two, and int() neither that nor
    thousands of digits.
    """
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 18 else None


def index_records(records: Iterable[tuple[K, V]], where: object) -> dict[K, V]:
    """Records by id.

    Raises:
        DataError: An id stands twice.
    """
    found: dict[K, V] = {}
    for key, value in records:
        if key in found:
            raise DataError(f"{key} stands twice", where=where, remedy="give each id once")
        found[key] = value
    return found


def read_answers(
    path: Path, key: str = "question_id", answer: str = "answer", kind: Any = (int, str)
) -> dict[Any, str]:
    """A table of predictions: the text under `answer` by the id, of a `kind`, under `key`.

    Raises:
        DataError: The file is no such table, or an id stands twice.
    """
    rows = read_table(path)
    return index_records(((row.get(key, kind), row.get(answer, str)) for row in rows), path)


def compare_ids(predicted: Iterable[K], wanted: Iterable[K], where: object) -> list[K]:
    """See that every wanted id has a prediction; returns predicted ids that nobody wanted.

    Raises:
        DataError: Some are missing; says how many and the first, and the same of unknown ones,
            which a file of another split has.
    """
    wanted, predicted = list(wanted), list(predicted)
    known, answered = set(wanted), set(predicted)
    unknown = [key for key in predicted if key not in known]
    if missing := [key for key in wanted if key not in answered]:
        message = f"{len(missing)} of {len(wanted)} have no prediction, the first is {missing[0]}"
        if not unknown:
            raise DataError(message, where=where, remedy="give each an answer, if an empty one")
        kinds = {str(key): type(key).__name__ for key in unknown}
        if alike := [key for key in missing if str(key) in kinds]:
            raise DataError(
                f"ids are of type {kinds[str(alike[0])]}, those of the references of type "
                f"{type(alike[0]).__name__} ({alike[0]})",
                where=where,
                remedy="write ids as the references have them",
            )
        raise DataError(f"{message}; {_tell_unknown(unknown)}", where=where, remedy=_SAME_SPLIT)
    return unknown


def refuse_unknown(predicted: Iterable[K], wanted: Iterable[K], where: object) -> None:
    """See that the predicted ids are the wanted ones.

    Raises:
        DataError: Some are missing or unknown; says how many and the first.
    """
    if unknown := compare_ids(predicted, wanted, where):
        raise DataError(_tell_unknown(unknown), where=where, remedy=_SAME_SPLIT)


def pick_file(path: Path, *patterns: str) -> Path:
    """The file itself, or the one file of a folder that fits the first pattern that fits any.

    Raises:
        UserError: No such path, or no or several such files.
    """
    if not path.exists():
        raise UserError("no such file", where=path)
    if path.is_file():
        return path
    for pattern in patterns:
        found = sorted(path.glob(pattern))
        if len(found) > 1:
            names = ", ".join(one.name for one in found[:4])
            raise UserError(f"several files fit ({names})", where=path, remedy="name one of them")
        if found:
            return found[0]
    raise UserError(f"no {' or '.join(patterns)} in the folder", where=path)


def need_references(references: Path | None, what: str) -> Path:
    """The references.

    Raises:
        UserError: There are none; names the file that is wanted.
    """
    if references is None:
        raise UserError("references are needed", remedy=f"add --references ({what})")
    return references


def read_score(record: Record, key: str) -> float:
    """A record's finite number, which a CSV file gives as text.

    Raises:
        DataError: The key is missing or its value no such number.
    """
    if key not in record.value:
        raise DataError(f"no {key}", where=record.where)
    return read_number(record.value[key], record.where)


def read_number(value: object, where: str) -> float:
    """A finite number.

    Raises:
        DataError: It is something else.
    """
    try:
        number = float(None if isinstance(value, bool) else value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        raise DataError(f"{value!r} is not a number", where=where) from None
    if not math.isfinite(number):
        raise DataError(f"{value!r} is not finite", where=where)
    return number


def read_choice(value: object, where: str) -> int:
    """The number of a choice, given as a whole number or as its digits.

    Raises:
        DataError: It is something else (true and 1.0 are).
    """
    if type(value) is not int and not (isinstance(value, str) and _WHOLE.fullmatch(value)):
        raise DataError(f"{_shorten(value)} is no number of a choice", where=where)
    return int(value)


def warn_of_choices(given: Mapping[K, int], choices: Mapping[K, int | None]) -> list[str]:
    """Count numbers of choices that there are not, such as the -1 of an answer without one.

    Args:
        given: Number of a choice, from 0, by item.
        choices: How many an item has; None where the references do not say.
    """
    outside = 0
    for key, number in given.items():
        most = choices.get(key)
        outside += number < 0 or (most is not None and number >= most)
    return [f"{outside} predictions are none of the choices, wrong"] if outside else []


def _tell_unknown(unknown: list[K]) -> str:
    return (
        f"{len(unknown)} predictions for ids that the references do not have, "
        f"the first is {unknown[0]}"
    )


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _read_lines(path: Path, text: str) -> Iterator[tuple[str, Any]]:
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            try:
                yield f"line {number}", parse_json(line, f"{path}, line {number}")
            except json.JSONDecodeError as error:
                raise DataError(f"not JSON ({error.msg})", where=f"{path}, line {number}") from None


def _shorten(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 40 else f"{text[:37]}…"
