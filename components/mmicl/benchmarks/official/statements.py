"""Statements that are true or false: NLVR and NLVR2, in their official files."""

from collections.abc import Callable
from pathlib import Path

from mmicl.benchmarks.official.reading import (
    Record,
    Scored,
    compare_ids,
    index_records,
    need_references,
    read_csv,
    read_table,
)
from mmicl.benchmarks.scorers import nlvr
from mmicl.errors import DataError


def score_nlvr2(predictions: Path, references: Path | None) -> Scored:
    """Lines `identifier,True` against the JSON Lines file of the split."""
    records = read_table(need_references(references, "dev.json"))
    truths = []
    for record in records:
        identifier = record.get("identifier", str)
        try:
            sentence = nlvr.nlvr2_sentence(identifier)
        except ValueError:
            raise DataError(
                f"identifier {identifier!r} has not 4 parts", where=record.where
            ) from None
        truths.append(nlvr.Reference(identifier, sentence, record.get("label", str)))
    return _score_nlvr(predictions, truths, lambda identifier: identifier.removesuffix(".png"))


def score_nlvr1(predictions: Path, references: Path | None) -> Scored:
    """Lines `dev-2536-0-3.png,true`, one for each of a picture's six orders of boxes."""
    truths = [
        nlvr.Reference(
            f"{identifier}-{order}", nlvr.nlvr1_sentence(identifier), record.get("label", str)
        )
        for record in read_table(need_references(references, "dev.json"))
        for identifier in [record.get("identifier", str)]
        for order in range(6)
    ]
    return _score_nlvr(
        predictions, truths, lambda name: "-".join(name.split(".")[0].split("-")[1:])
    )


def _score_nlvr(
    predictions: Path, truths: list[nlvr.Reference], name: Callable[[str], str]
) -> Scored:
    wanted = index_records(((truth.identifier, truth) for truth in truths), "references")
    answers = index_records(
        (
            (name(str(record.value["identifier"])), _read_label(record))
            for record in read_csv(predictions, ("identifier", "prediction"))
        ),
        predictions,
    )
    unknown = compare_ids(answers, wanted, predictions)
    note = f"{len(unknown)} predictions for unknown identifiers, passed over as officially"
    return Scored(
        n=len(truths),
        metrics=nlvr.score(answers, truths),
        per_item={key: nlvr.is_right(answers[key], truth.label) for key, truth in wanted.items()},
        warnings=[note] if unknown else [],
    )


def _read_label(record: Record) -> str:
    label = record.get("prediction", str)
    if label.lower() not in ("true", "false"):
        raise DataError(f"{label!r} is neither True nor False", where=record.where)
    return label
