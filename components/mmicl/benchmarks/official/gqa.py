"""GQA in its official files."""

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
    if choices := _read_choices(references, balanced):
        metrics |= gqa.score_choices(answers, balanced, choices)
    else:
        missing["validity, plausibility"] = "need the choices file beside the questions"
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
        ("semantic", list),
    ):
        record.get(name, kind)
    types = Record(f"{record.where}, types", record.get("types", dict))
    for name in ("structural", "semantic", "detailed"):
        types.get(name, str)
    entailed = record.value.get("entailed", [])
    return {
        **record.value,
        "entailed": entailed,
        "groups": {"global": None} | record.get("groups", dict),
    }


def _is_answered(
    key: str, questions: Mapping[str, Mapping[str, Any]], answers: Mapping[str, str]
) -> bool:
    return all(other in questions and other in answers for other in questions[key]["entailed"])


def _read_choices(
    references: Path, balanced: Mapping[str, Any]
) -> dict[str, dict[str, list[str]]] | None:
    found = sorted(references.glob("*choices.json")) if references.is_dir() else []
    if not found:
        return None
    choices = read_mapping(found[0])
    for key in balanced:
        record = Record(f"{found[0]}, {key}", choices.get(key) or {})
        for name in ("valid", "plausible"):
            record.get(name, list)
    return choices
