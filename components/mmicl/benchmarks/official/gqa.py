"""GQA in its official files."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmicl.benchmarks.official.reading import (
    Record,
    Scored,
    compare_ids,
    need_references,
    pick_file,
    read_answers,
    read_entries,
    read_mapping,
)
from mmicl.benchmarks.scorers import gqa
from mmicl.errors import DataError

_QUESTIONS = (
    "*testdev_all_questions.json",
    "*testdev_balanced_questions.json",
    "*val_all_questions.json",
    "*questions.json",
)
_NAMED = re.compile(r"(.*?)(?:all_|balanced_)?questions\.json")


def score_gqa(predictions: Path, references: Path | None) -> Scored:
    """`[{questionId, prediction}]` against a questions file; a choices file may lie beside it.

    The balanced questions are scored. Consistency needs the questions file that has all of them
    ({val,testdev}_all_questions.json) and answers to those that balanced ones entail.
    """
    references = need_references(references, "testdev_balanced_questions.json")
    path = pick_file(references, *_QUESTIONS)
    questions = {key: _check(path, key, value) for key, value in read_mapping(path).items()}
    balanced = {key: one for key, one in questions.items() if one["isBalanced"]}
    if not balanced:
        raise DataError("no balanced questions", where=path)
    answers = read_answers(predictions, "questionId", "prediction", str)
    compare_ids(answers, balanced, predictions)
    unknown = sum(key not in questions for key in answers)
    metrics = gqa.score(answers, balanced)
    missing = {"grounding": "needs a model's attention maps"}
    if all(_is_answered(key, questions, answers) for key in balanced):
        metrics["consistency"] = gqa.score_consistency(answers, list(balanced), questions)
    else:
        missing["consistency"] = "needs all questions and answers to those that are entailed"
    listed = _name_choices(path)
    if listed.exists():
        metrics |= gqa.score_choices(answers, balanced, _read_choices(listed, balanced))
    else:
        missing["validity, plausibility"] = f"need {listed.name} beside the questions"
    note = f"{unknown} predictions for unknown questions, passed over as officially"
    return Scored(
        n=len(balanced),
        metrics={**metrics, "not_computed": missing},
        per_item={key: answers[key] == one["answer"] for key, one in balanced.items()},
        warnings=[note] if unknown else [],
        written=[answers[key] for key in balanced],
    )


def _check(path: Path, key: str, value: Any) -> dict[str, Any]:
    """A question with all that is scored."""
    record = Record(f"{path}, {key}", value if isinstance(value, dict) else {})
    for name, kind in (
        ("question", str),
        ("answer", str),
        ("isBalanced", bool),
    ):
        record.get(name, kind)
    for step in read_entries(record, "semantic"):
        for name in ("operation", "argument"):
            step.get(name, object)  # whatever it is, it is read as text
    types = Record(f"{record.where}, types", record.get("types", dict))
    for name in ("structural", "semantic", "detailed"):
        types.get(name, str)
    entailed = record.value.get("entailed") or []
    if not isinstance(entailed, list) or not all(isinstance(one, str) for one in entailed):
        raise DataError("entailed is not a list of questions", where=record.where)
    groups = {"global": None} | record.get("groups", dict)
    if not isinstance(groups["global"], str | None):
        raise DataError("the global group is not a name", where=record.where)
    return {**record.value, "entailed": entailed, "groups": groups}


def _is_answered(
    key: str, questions: Mapping[str, Mapping[str, Any]], answers: Mapping[str, str]
) -> bool:
    return all(other in questions and other in answers for other in questions[key]["entailed"])


def _name_choices(questions: Path) -> Path:
    """The choices file of the same split, which may lie beside others: val_choices.json."""
    named = _NAMED.fullmatch(questions.name)
    return questions.with_name(f"{named[1] if named else ''}choices.json")


def _read_choices(path: Path, balanced: Mapping[str, Any]) -> dict[str, dict[str, list[str]]]:
    choices = read_mapping(path)
    for key in balanced:
        value = choices.get(key)
        record = Record(f"{path}, {key}", value if isinstance(value, dict) else {})
        for name in ("valid", "plausible"):
            record.get(name, list)
    return choices
