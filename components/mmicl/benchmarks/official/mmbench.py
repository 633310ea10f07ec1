"""MMBench in its official tables."""

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile

from mmicl.benchmarks.official.reading import (
    Scored,
    index_records,
    need_references,
    parse_digits,
    pick_file,
    read_file,
    refuse_unknown,
)
from mmicl.benchmarks.scorers import mmbench
from mmicl.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_ROTATION = 1_000_000
_COLUMNS = {
    "index",
    "prediction",
    "answer",
    "category",
    "l2-category",
    "split",
    "g_index",
    *_LETTERS,
}


def score_mmbench(predictions: Path, references: Path | None) -> Scored:
    """A table with `index` and `prediction` (.xlsx as submitted, .tsv, .csv) against the TSV.

    Row k + 1,000,000 r is a rotation of question k; all rotations that the data have are wanted.
    """
    path = pick_file(
        need_references(references, "mmbench_dev_en.tsv"), "mmbench_dev*.tsv", "MMBench_DEV*.tsv"
    )
    questions = index_records(
        (_read_question(path, row) for row in _read_rows(path, "answer")), path
    )
    if bare := [key for key, one in questions.items() if one.group not in questions]:
        raise DataError(f"row {bare[0]} rotates a question that is not there", where=path)
    answers = index_records(
        ((row["index"], str(row["prediction"])) for row in _read_rows(predictions, "prediction")),
        predictions,
    )
    refuse_unknown(answers, questions, predictions)
    right = mmbench.score_groups(answers, questions)
    scores = mmbench.score(right, questions)
    silent = sum(
        mmbench.read_choice(answers[key], one.choices) is None for key, one in questions.items()
    )
    note = f"{silent} of {len(questions)} answers name no choice, wrong (the tool may ask GPT)"
    return Scored(
        n=len(right),
        metrics=dict(next(iter(scores.values())) if len(scores) == 1 else scores),
        per_item={str(key): hit for key, hit in right.items()},
        warnings=[note] if silent else [],
        written=answers.values(),
    )


def _read_question(path: Path, row: dict[str, Any]) -> tuple[int, mmbench.Question]:
    choices = {letter: str(row[letter]) for letter in _LETTERS if row.get(letter) not in (None, "")}
    answer = str(row["answer"])
    if answer not in choices:
        raise DataError(f"the answer is {answer!r}", where=f"{path}, row {row['index']}")
    return row["index"], mmbench.Question(
        group=_read_index(path, row, "g_index") if row.get("g_index") else row["index"] % _ROTATION,
        answer=answer,
        choices=choices,
        category=str(row.get("category") or ""),
        ability=str(row.get("l2-category") or ""),
        split=str(row.get("split") or "none"),
    )


def _read_rows(path: Path, column: str) -> list[dict[str, Any]]:
    """The rows of a table without its pictures; a cell that is empty is ''."""
    table = _read_table(path)
    for name in ("index", column):
        if name not in table:
            raise DataError(f"no column {name}", where=path)
    if table.empty:
        raise DataError("no rows", where=path)
    rows: list[dict[str, Any]] = table.to_dict("records")
    for row in rows:
        row["index"] = _read_index(path, row, "index")
    return rows


def _read_index(path: Path, row: dict[str, Any], name: str) -> int:
    number = parse_digits(str(row[name]).removesuffix(".0"))
    if number is None:
        raise DataError(f"{name} {row[name]!r} is no number", where=path)
    return number


def _read_table(path: Path) -> "pd.DataFrame":
    import pandas as pd

    options: dict[str, Any] = {
        "dtype": str,
        "keep_default_na": False,
        "usecols": _COLUMNS.__contains__,
    }
    try:
        if path.suffix == ".xlsx":
            with warnings.catch_warnings(action="ignore"):
                return pd.read_excel(path, **options)
        if not path.is_file() or path.stat().st_size == 0:
            read_file(path)
        separator = "," if path.suffix == ".csv" else "\t"
        return pd.read_csv(path, sep=separator, **options)
    except (ValueError, KeyError, OSError, BadZipFile) as error:
        raise DataError(f"not a table ({error})", where=path) from None
