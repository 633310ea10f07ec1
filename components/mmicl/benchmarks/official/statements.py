"""Two classes: NLVR, NLVR2, VSR, Hateful Memes and Bongard-HOI, in their official files."""

import json
from collections.abc import Callable
from pathlib import Path

from mmicl.benchmarks.official.reading import (
    Record,
    Scored,
    compare_ids,
    index_records,
    need_references,
    parse_digits,
    parse_json,
    pick_file,
    read_csv,
    read_file,
    read_lines,
    read_score,
    read_table,
    refuse_unknown,
)
from mmicl.benchmarks.scorers import bongard_hoi, hateful_memes, nlvr, vsr
from mmicl.errors import DataError, UserError


def score_nlvr2(predictions: Path, references: Path | None) -> Scored:
    """Lines `identifier,True` against the JSON Lines file of the split."""
    path = pick_file(need_references(references, "dev.json"), "dev.json")
    truths = []
    for record in read_table(path):
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
    path = pick_file(need_references(references, "dev.json"), "dev.json")
    truths = [
        nlvr.Reference(
            f"{identifier}-{order}", nlvr.nlvr1_sentence(identifier), record.get("label", str)
        )
        for record in read_table(path)
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


def score_vsr(predictions: Path, references: Path | None) -> Scored:
    """A file of one 0 or 1 a line, in the order of test.jsonl (`label`, `relation`)."""
    path = pick_file(need_references(references, "test.jsonl"), "test.jsonl", "dev.jsonl")
    lines = [line.strip() for line in read_lines(predictions) if line.strip()]
    for number, line in enumerate(lines, 1):
        if line not in ("0", "1"):
            raise DataError(f"{line!r} is neither 0 nor 1", where=f"{predictions}, line {number}")
    truths = [
        (record.get("relation", str), _read_class(record, "label")) for record in read_table(path)
    ]
    if len(lines) != len(truths):
        message = f"{len(lines)} predictions for {len(truths)} statements"
        raise DataError(message, where=predictions)
    judged = [
        (relation, int(line) == label)
        for line, (relation, label) in zip(lines, truths, strict=True)
    ]
    unnamed = sum(relation not in vsr.CATEGORY for relation, _ in judged)
    note = f"{unnamed} statements are of relations without a meta category"
    return Scored(
        n=len(judged),
        metrics=vsr.score(judged),
        per_item={str(place): right for place, (_, right) in enumerate(judged)},
        warnings=[note] if unnamed else [],
    )


def score_hateful_memes(predictions: Path, references: Path | None) -> Scored:
    """The challenge's CSV (`id,proba,label`) against dev_seen.jsonl (`id`, `label`)."""
    path = pick_file(need_references(references, "dev_seen.jsonl"), "dev_seen.jsonl", "dev.jsonl")
    truths = index_records(
        ((_read_meme(record), _read_class(record, "label")) for record in read_table(path)), path
    )
    rows = read_csv(predictions)
    answers = index_records(
        (
            (_read_meme(record), (_read_probability(record), _read_class(record, "label")))
            for record in rows
        ),
        predictions,
    )
    refuse_unknown(answers, truths, predictions)
    try:
        metrics = hateful_memes.score(
            [answers[key][0] for key in truths],
            [answers[key][1] for key in truths],
            list(truths.values()),
        )
    except ValueError as error:
        raise DataError(str(error), where=path) from None
    return Scored(
        n=len(truths),
        metrics=dict(metrics),
        per_item={str(key): answers[key][1] == label for key, label in truths.items()},
    )


def score_bongard_hoi(predictions: Path, references: Path | None) -> Scored:
    """`[[class, class], …]`, a pair a problem, in the order of bongard_hoi_test_….json.

    A pair gives the classes (0 positive, 1 negative) of the problem's two query pictures: its last
    positive one, then its last negative one. One file for one split, or a folder of files of the
    splits' names; the dataset prescribes no form, these are what its test compares.
    """
    references = need_references(references, "the folder of bongard_hoi_test_….json")
    if references.is_dir() != predictions.is_dir():
        raise UserError("predictions and references are not both files or both folders")
    files = sorted(references.glob("*_act.json")) if references.is_dir() else [references]
    splits, per_item, warnings = {}, {}, []
    for path in files:
        name = bongard_hoi.name_split(path.stem)
        answers = predictions / path.name if predictions.is_dir() else predictions
        if not answers.exists():
            warnings.append(f"no {path.name} in {predictions.name}: not scored, no avg")
            continue
        splits[name] = _read_pairs(answers, _count_problems(path))
        per_item[name] = [list(pair) == list(bongard_hoi.RIGHT) for pair in splits[name]]
    if not splits:
        raise UserError("no file of a split (bongard_hoi_test_….json)", where=predictions)
    n = sum(map(len, splits.values()))
    return Scored(n, dict(bongard_hoi.score(splits)), per_item, warnings)


def _read_list(path: Path) -> list[object]:
    try:
        value = parse_json(read_file(path), path)
    except json.JSONDecodeError as error:
        raise DataError(f"not JSON ({error})", where=path) from None
    if not isinstance(value, list) or not value:
        raise DataError("not a list with records", where=path)
    return value


def _count_problems(path: Path) -> int:
    problems = _read_list(path)
    for number, problem in enumerate(problems, 1):
        if not isinstance(problem, list) or len(problem) != 3:
            raise DataError("is not [positive, negative, concept]", where=f"{path}, {number}")
    return len(problems)


def _read_pairs(path: Path, count: int) -> list[tuple[int, int]]:
    pairs = []
    for number, pair in enumerate(_read_list(path), 1):
        if (
            not isinstance(pair, list)
            or len(pair) != 2
            or not all(type(one) is int and one in (0, 1) for one in pair)
        ):
            raise DataError(f"{pair!r} is not a pair of 0 or 1", where=f"{path}, entry {number}")
        pairs.append((int(pair[0]), int(pair[1])))
    if len(pairs) != count:
        raise DataError(f"{len(pairs)} pairs for {count} problems", where=path)
    return pairs


def _read_meme(record: Record) -> int:
    value = str(record.get("id", (int, str)))
    number = parse_digits(value)
    if number is None:
        raise DataError(f"id {value!r} is no number", where=record.where)
    return number


def _read_class(record: Record, key: str) -> int:
    value = record.get(key, (int, str))
    if str(value) not in ("0", "1"):
        raise DataError(f"{key} is {value!r}, neither 0 nor 1", where=record.where)
    return int(value)


def _read_probability(record: Record) -> float:
    value = read_score(record, "proba")
    if not 0 <= value <= 1:
        raise DataError(f"proba is {value}, not within 0 and 1", where=record.where)
    return value
